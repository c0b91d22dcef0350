import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from limbeck.core.errors import UsageError
from limbeck.models.cost import training_flops
from limbeck.study.config.study import load_study
from limbeck.study.run.execute import run_study
from limbeck.study.run.preview import preview

StudyFile = Callable[..., Path]
STUDIES = Path(__file__).parents[3] / "studies"


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The plan of paper.yaml where nothing of it is, and nothing can be fetched."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IR_DATASETS_HOME", str(home / "ir_datasets"))
        patch.setenv("HF_HUB_CACHE", str(home / "hub"))
        patch.setattr(socket, "create_connection", _no_network)
        facts = preview(load_study(STUDIES / "paper.yaml", with_files=False), home / "out", flops_per_second=1e14)
    assert not list(home.rglob("*.tsv"))
    assert not (home / "out").exists()
    return facts


def _no_network(*_: Any, **__: Any) -> None:
    raise AssertionError("a plan asks nobody")


def of(facts: dict[str, Any], backbone: str, recipe: str) -> dict[str, Any]:
    return next(cell for cell in facts["cells"] if (cell["backbone"], cell["recipe"]) == (backbone, recipe))


def test_the_papers_cells_train_on_the_pairs_that_the_paper_states(paper: dict[str, Any]) -> None:
    assert len(paper["cells"]) == 162
    pairs = {recipe: of(paper, "bert-base", recipe)["training"]["pairs"] for recipe in ("BCE", "InfoNCE", "ADR-MSE")}
    assert pairs == {"BCE": 12_800_000, "InfoNCE": 6_400_000, "ADR-MSE": 10_000_000}
    assert of(paper, "minilm-l12", "BCE")["training"]["pairs"] == 25_600_000
    exact = {recipe: of(paper, "bert-base", recipe)["training"]["exact"] for recipe in ("BCE", "ADR-MSE")}
    assert exact == {"BCE": True, "ADR-MSE": False}  # RankZephyr's lists may be shorter than their 50


def test_tests_and_validations_are_counted_from_published_numbers_of_queries(paper: dict[str, Any]) -> None:
    cell = of(paper, "electra-base", "Hinge")
    # 40 validations of 13 collections of 50 queries (Touché: 49) to a depth of 100.
    assert cell["validation"]["pairs"] == 40 * (12 * 50 + 49) * 100
    assert cell["evaluation"]["pairs"] > (6_980 + 43 + 54) * 1000
    # Most of these collections' lengths were never measured: they are estimated.
    assert not cell["evaluation"]["measured"]
    assert not cell["evaluation"]["bounded"]


def test_operations_follow_from_the_shape_and_hours_from_them(paper: dict[str, Any]) -> None:
    cell = of(paper, "bert-base", "BCE")
    with torch.device("meta"):
        model = BertForSequenceClassification(BertConfig(num_labels=1))
    expected = training_flops(model, [91]) * 12_800_000
    assert cell["training"]["tokens"] == 91 * 12_800_000
    assert cell["training"]["flops"] == pytest.approx(expected)
    total = sum(cell[part]["flops"] for part in ("training", "validation", "evaluation"))
    assert cell["hours"] == pytest.approx(total / 1e14 / 3600)


def test_downloads_have_published_sizes_and_terms_or_say_that_they_are_unknown(paper: dict[str, Any]) -> None:
    found = {each["name"]: each for each in paper["downloads"]}
    assert found["msmarco-passage/collectionandqueries"]["bytes"] == 1_057_717_952
    assert found["beir/webis-touche2020/v2"]["bytes"] == 227_132_363
    assert found["lotte/source"]["bytes"] == 3_576_167_599
    assert found["data/__colbert__msmarco-passage-train-judged.run"]["bytes"] == 9_500_000_000
    assert found["nano-beir/scifact"]["bytes"] is None
    assert "agreement with NIST" in found["disks45/docs"]["terms"]
    assert "gated" in found["naver/splade-v3-distilbert"]["terms"]
    assert found["google-bert/bert-base-uncased"]["terms"] == "Apache-2.0"
    assert not any(each["here"] for each in found.values())


def test_confounds_are_told_before_anything_is_run(paper: dict[str, Any]) -> None:
    found = {(each.a.recipe, each.b.recipe): each for each in paper["audit"]}
    factors = {factor.factor: factor for factor in found["BCE", "InfoNCE"].factors}
    assert {"negatives", "sample", "passages per step"} <= factors.keys()
    assert factors["pairs trained on"].a != factors["pairs trained on"].b
    assert not found["BCE", "Hinge"].factors


def test_what_cannot_be_told_without_fetching_is_said(paper: dict[str, Any]) -> None:
    assert {(cell["id"], cell["state"]) for cell in paper["cells"]} == {(None, None)}
    [warning] = paper["warnings"]
    assert "36 collections and files are not here" in warning
    assert "not known yet which are done already" in paper["summary"]
    assert paper["shared"] == {"training lists": 4, "first-stage runs": 35, "teachers": 0, "token stores": 144}


def test_a_plan_says_what_a_study_takes_and_what_is_done(
    study_file: StudyFile, tiny: dict[str, Any], finished: Path, tmp_path: Path
) -> None:
    tiny["seeds"] = 3
    study = load_study(study_file(tiny))
    facts = preview(study, finished, pairs_per_second=10)
    assert [cell["state"] for cell in facts["cells"]] == ["done", "done", "missing"] * 2
    assert [cell["training"]["pairs"] for cell in facts["cells"]] == [4 * 2 * 4] * 3 + [None] * 3
    scored = 2 * 3 * 10 + 4 * 10  # two validations of three queries, and four test queries, to a depth of 10
    assert facts["cells"][0]["hours"] == pytest.approx((32 + scored / 3) / 10 / 3600)
    assert facts["cells"][-1]["hours"] is None
    assert facts["totals"]["hours"] is None
    assert facts["totals"]["cells"] == 2
    assert facts["shared"] == {"training lists": 2, "first-stage runs": 3, "teachers": 1, "token stores": 3}
    assert facts["downloads"] == []
    assert {cell["state"] for cell in preview(study, tmp_path / "absent")["cells"]} == {"missing"}
    assert not (tmp_path / "absent").exists()


def test_a_study_whose_files_are_absent_is_planned_but_not_run(
    study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["lists"]["judged"] = {"format": "hofstaetter", "path": "absent.tsv"}
    path = study_file(tiny)
    with pytest.raises(UsageError, match=r'"absent\.tsv": no such file'):
        load_study(path)
    [download] = preview(load_study(path, with_files=False), tmp_path)["downloads"]
    assert (download["name"], download["bytes"], download["here"]) == ("absent.tsv", None, False)


def test_a_folder_may_come_later_and_a_mistyped_id_may_not(
    study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["collections"]["test"] = ["my-test"]
    path = study_file(tiny)
    with pytest.raises(UsageError, match='"my-test" is no folder here'):
        load_study(path)
    facts = preview(load_study(path, with_files=False), tmp_path)
    assert [(each["name"], each["here"]) for each in facts["downloads"]] == [("my-test", False)]
    assert facts["totals"]["evaluation"]["pairs"] is None
    tiny["collections"]["test"] = ["beir/scifcat"]
    with pytest.raises(UsageError, match="beir/scifcat"):
        load_study(study_file(tiny), with_files=False)


def test_a_done_study_is_recognised_without_its_files(
    study_file: StudyFile, tiny: dict[str, Any], laboratory: Path, tmp_path: Path
) -> None:
    file = laboratory / "there.tsv"
    file.write_text("".join(f"{n}.5\t-{n}\tq{n}\td{n}\td{n + 5}\n" for n in range(5)))
    tiny["lists"] = {"judged": {"format": "hofstaetter", "path": file.name}}
    tiny["recipes"] = {"BCE": tiny["recipes"]["BCE"]}
    del tiny["validation"], tiny["teachers"]
    path = study_file(tiny)
    assert run_study(load_study(path), tmp_path)["done"] == 2
    file.unlink()
    facts = preview(load_study(path, with_files=False), tmp_path)
    assert [cell["state"] for cell in facts["cells"]] == ["done", "done"]


def test_what_several_recipes_begin_with_is_counted_once(
    study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    first = {"objective": "BCE", "lists": "judged", "steps": 50, "lists_per_step": 2}
    tiny["recipes"] = {name: [first, {**first, "objective": name, "steps": 5}] for name in ("Hinge", "InfoNCE")}
    facts = preview(load_study(study_file(tiny)), tmp_path)
    assert [cell["training"]["pairs"] for cell in facts["cells"]] == [55 * 2 * 4] * 4
    assert facts["totals"]["training"]["pairs"] == 2 * (50 + 5 + 5) * 2 * 4
