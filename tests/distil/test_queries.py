"""Which queries teach, choose and tell the truth."""

import shutil
from pathlib import Path

import pytest

from limbeck.collections import load_collection
from limbeck.core.errors import DataError, UsageError
from limbeck.distil.queries import roles_of


def test_no_query_plays_two_parts(workshop: Path, tmp_path: Path) -> None:
    one_split = Path(shutil.copytree(workshop / "docs", tmp_path / "docs"))
    (one_split / "qrels" / "test.tsv").unlink()
    for folder, counts in ((workshop / "docs", (40, 10, 30)), (one_split, (20, 10, 20))):
        roles = roles_of(str(folder))
        assert roles.kind == "judged"
        names = (roles.training(1, 1), roles.valid, roles.test or "")
        parts = [set(load_collection(name).query_ids) for name in names]
        assert tuple(map(len, parts)) == counts
        assert len(set().union(*parts)) == sum(counts)


def test_training_queries_are_cut_to_about_as_many_as_are_wanted(workshop: Path) -> None:
    roles = roles_of(str(workshop / "docs"))
    assert roles.training(40, 20).endswith("/train@2-3/5")
    assert roles.training(40, 1).endswith("/train@2/5")


def test_judgments_of_too_few_queries_are_refused_and_so_are_folds(workshop: Path, tmp_path: Path) -> None:
    few = Path(shutil.copytree(workshop / "docs", tmp_path / "docs"))
    (few / "qrels" / "train.tsv").unlink()
    lines = (few / "qrels" / "test.tsv").read_text().splitlines()[:21]
    (few / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="10 judged queries cannot teach, choose and tell the truth"):
        roles_of(str(few))
    with pytest.raises(UsageError, match="distil deals the queries itself"):
        roles_of(f"{few}/test@1/2")
