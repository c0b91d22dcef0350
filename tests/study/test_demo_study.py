"""The study that `limbeck demo` runs, on the built-in collection and on the user's."""

import shutil
from pathlib import Path

import pytest
import yaml

from limbeck.core.errors import DataError
from limbeck.study import demo as module
from limbeck.study.config.study import load_study
from limbeck.study.demo import demo_study
from limbeck.study.plan.plan import plan_study


def test_the_demo_compares_five_objectives_from_two_seeds_after_one_first_stage(tmp_path: Path) -> None:
    plan = plan_study(load_study(demo_study("demo", tmp_path)))
    objectives = {stages[-1].objective for stages in plan.study.config.recipes.values()}
    assert objectives >= {"BCE", "InfoNCE", "MarginMSE", "RankNet", "ADR-MSE"}
    assert len({cell.seed for cell in plan.cells}) == 2
    assert all(len(plan.prefixes(cell)) == 1 for cell in plan.cells)
    assert plan.warnings == ()


def test_a_collection_with_train_and_test_keeps_its_splits(laboratory: Path, tmp_path: Path) -> None:
    mini = laboratory / "mini"
    values = yaml.safe_load(demo_study(str(mini), tmp_path).read_text())
    assert values["collections"] == {"train": [f"{mini}/train@1-4/5", f"{mini}~sentences"], "test": f"{mini}/test"}
    assert values["validation"]["collections"] == f"{mini}/train@5/5"
    assert [source.get("collections") for source in values["lists"].values()] == [None, *[f"{mini}/train@1-4/5"] * 2]
    assert len(plan_study(load_study(tmp_path / "demo.yaml")).cells) == 12


def test_a_collection_with_test_alone_is_dealt_in_folds_and_its_sentences_cut_down(
    laboratory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = Path(shutil.copytree(laboratory / "mini", tmp_path / "mini"))
    for split in ("train", "valid"):
        rows = (mini / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]
        with (mini / "qrels" / "test.tsv").open("a") as file:
            file.write("\n".join(rows) + "\n")
        (mini / "qrels" / f"{split}.tsv").unlink()
    monkeypatch.setattr(module, "MOST_SENTENCES", 10)
    values = yaml.safe_load(demo_study(str(mini), tmp_path / "out").read_text())
    assert values["collections"] == {"train": [f"{mini}@1-5/10", f"{mini}~sentences@1/3"], "test": f"{mini}@7-10/10"}
    assert values["validation"]["collections"] == f"{mini}@6/10"
    assert len(plan_study(load_study(tmp_path / "out" / "demo.yaml")).cells) == 12


def test_too_few_judged_queries_are_refused(laboratory: Path, tmp_path: Path) -> None:
    mini = Path(shutil.copytree(laboratory / "mini", tmp_path / "mini"))
    (mini / "qrels" / "train.tsv").unlink()
    (mini / "qrels" / "valid.tsv").unlink()
    with pytest.raises(DataError, match="has 4 judged queries; the demo needs at least 10"):
        demo_study(str(mini), tmp_path / "out")
