from pathlib import Path

import pytest

from limbeck.collections import load_collection
from limbeck.core.errors import MissingError, UsageError


def small(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.tsv").write_text("d1\tone\n")
    (folder / "queries.tsv").write_text("".join(f"q{i}\twhat\n" for i in range(10)))
    (folder / "qrels" / "dev.tsv").write_text("".join(f"q{i} 0 d1 1\n" for i in range(10)))
    return folder


def test_a_collection_is_named_as_the_user_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small(tmp_path / "mine").parent)
    for name in ("mine", "mine/", "mine/dev", "./mine", "mine@1/5", "mine/dev@1-2/5"):
        assert load_collection(name).name == name


def test_folds_apply_to_the_split(tmp_path: Path) -> None:
    folder = small(tmp_path / "mine")
    assert [len(load_collection(f"{folder}/dev@{fold}/4").query_ids) for fold in ("1", "2", "3", "4", "1-4")] == [
        3, 3, 2, 2, 10,
    ]  # fmt: skip


def test_the_queries_of_another_split_can_be_left_out(tmp_path: Path) -> None:
    folder = small(tmp_path / "mine")
    (folder / "qrels" / "small.tsv").write_text("q0 0 d1 1\nq9 0 d1 1\nq7 0 d1 1\n")
    left = load_collection(f"{folder}/dev~without:{folder}/small")
    assert left.query_ids == ("q1", "q2", "q3", "q4", "q5", "q6", "q8")
    assert set(left.qrels) == set(left.query_ids)
    folds = [load_collection(f"{folder}/dev~without:{folder}/small@{fold}/2").query_ids for fold in (1, 2)]
    assert sorted(folds[0] + folds[1]) == list(left.query_ids)
    with pytest.raises(UsageError, match="all of its 3 queries are in"):
        load_collection(f"{folder}/small~without:{folder}/dev")


def test_a_folder_that_exists_is_never_taken_for_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cranfield").mkdir()
    with pytest.raises(MissingError, match="cranfield: no corpus in this folder"):
        load_collection("cranfield")


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_collection("~/mine").documents) == 1


@pytest.mark.parametrize("name", ["/nope/here", "./nope", "~nobody-of-that-name/x"])
def test_a_path_that_is_not_there_is_missing(name: str) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        load_collection(name)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        load_collection("")
