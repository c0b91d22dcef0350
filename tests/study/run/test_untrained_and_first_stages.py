"""Models that are tested as they are, several first stages, and bounds that values must fall into: one small study."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from transformers import BertConfig, BertForSequenceClassification

from limbeck.collections import load_collection
from limbeck.evaluation import measure_run, rerank
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.report import to_html, to_markdown
from limbeck.runs import read_run
from limbeck.study.analysis.gather import gather, gather_table
from limbeck.study.analysis.provenance import provenance, write_values
from limbeck.study.analysis.results import StudyResults
from limbeck.study.config.study import StudyError, load_study
from limbeck.study.plan.plan import plan_study
from limbeck.study.run.execute import run_study
from limbeck.study.run.store import Store

StudyFile = Callable[..., Path]


@pytest.fixture(scope="module")
def scorer(laboratory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The laboratory's model with a scoring head; and the candidates of another first stage, as a file."""
    lines = [f"q{query} Q0 d{n} {n + 1} {10 - n} given\n" for query in range(8, 12) for n in range(10)]
    (laboratory / "given.run").write_text("".join(lines))
    folder = tmp_path_factory.mktemp("scorer") / "model"
    shutil.copytree(laboratory / "bert", folder)
    config = BertConfig.from_pretrained(folder, num_labels=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def study(scorer: Path) -> dict[str, Any]:
    stage = {"objective": "InfoNCE", "lists": "judged", "steps": 2, "lists_per_step": 2}
    lists = {"format": "run", "first_stage": "bm25", "labels": "qrels", "sample": {"positives": 1, "negatives": 3}}
    return {
        "name": "others",
        "collections": {"train": "mini/train", "test": ["mini/test"]},
        "first_stages": {"other": {"runs": {"mini/test": "given.run"}}},
        "backbones": {"bert": {"model": str(scorer), "max_length": 20, "learning_rate": 0.001}},
        "lists": {"judged": {**lists, "depth": 10}},
        "recipes": {"trained": [stage], "as it is": []},
        "seeds": 2,
        "evaluation": {"first_stage": "bm25", "other_first_stages": ["other"], "depth": 10, "measures": ["nDCG@10"]},
        "bounds": [
            {"recipe": "as it is", "collection": "mini/test", "at_least": 0.0, "at_most": 1.0},
            {"recipe": "trained", "backbone": "bert", "collection": "mini/test", "at_least": 0.99, "at_most": 1.0},
        ],
    }


@pytest.fixture(scope="module")
def output(laboratory: Path, scorer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = laboratory / "others.yaml"
    path.write_text(yaml.safe_dump(study(scorer), sort_keys=False))
    folder = tmp_path_factory.mktemp("others") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        assert run_study(load_study(path), folder) == {"kept": 0, "done": 3, "failed": 0, "elsewhere": 0}
    return folder


@pytest.fixture(scope="module")
def results(output: Path) -> StudyResults:
    return gather(output)


def test_a_recipe_without_stages_tests_the_model_as_it_is_once_whatever_the_seeds(
    results: StudyResults, output: Path, laboratory: Path, scorer: Path
) -> None:
    assert [(cell.recipe, cell.seed, cell.state) for cell in results.cells] == [
        ("trained", 1, "done"), ("trained", 2, "done"), ("as it is", 1, "done"),
    ]  # fmt: skip
    cell = results.cells[2]
    assert cell.training is not None
    assert (cell.training.steps, cell.training.pairs) == (0, 0)
    collection = load_collection(str(laboratory / "mini" / "test"))
    index = json.loads((output / "index.json").read_text())
    candidates = read_run(Store(output).evaluation(None, index["first_stage"]["evaluations"]["mini/test"]) / "run.gz")
    reranked = rerank(CrossEncoder.load(scorer, max_length=20), collection, candidates, 10)
    assert cell.values["mini/test"]["nDCG@10"] == pytest.approx(
        measure_run(collection, reranked, ["nDCG@10"]).mean("nDCG@10")
    )
    assert results.facts["bert"]["as it is"]["objective"] == "none: as it is"


def test_what_is_not_trained_does_not_depend_on_what_others_are_trained_on(
    scorer: Path, study_file: StudyFile, results: StudyResults
) -> None:
    values = study(scorer)
    del values["lists"], values["recipes"]["trained"], values["collections"]["train"]
    values["bounds"], values["seeds"] = [], [7]
    [cell] = plan_study(load_study(study_file(values))).cells
    assert cell.id == results.cells[2].id


def test_every_model_re_ranks_the_candidates_of_every_first_stage(results: StudyResults, output: Path) -> None:
    [other] = results.other_first_stages
    assert (results.first_stage.name, other.first_stage.name) == ("bm25", "other")
    assert set(other.values) == {cell.id for cell in results.cells}
    assert {(row.recipe, row.collection) for row in other.comparisons} == {
        ("trained", "mini/test"), ("as it is", "mini/test"),
    }  # fmt: skip
    on = results.on(other)
    assert on.first_stage.values != results.first_stage.values
    assert [cell.values for cell in on.cells] == [other.values[cell.id] for cell in results.cells]


def test_the_first_stage_is_a_factor(results: StudyResults, output: Path) -> None:
    rows = [dict(row) for _, row in gather_table(output).rows]
    assert {row["first stage"] for row in rows} == {"bm25", "other"}
    assert len(rows) == 2 * 3
    # A study of three trainings may have no answer; the two of equal seeds do.
    trained = [row for row in rows if row["recipe"] == "trained"]
    assert len({(row["first stage"], row["seed"]) for row in trained}) == 4


def test_reports_have_a_table_for_each_first_stage_and_say_which_bounds_hold(results: StudyResults) -> None:
    assert [(bound.recipe, bound.holds) for bound in results.bounds] == [("as it is", True), ("trained", False)]
    text = to_markdown(results)
    assert "## nDCG@10, candidates of other instead of bm25" in text
    assert "Of 2 bounds of the study file: 1 out and 1 in." in text
    assert "trained on bert, nDCG@10 on mini/test: out: " in text
    assert "Trained on candidates of bm25, whose candidates are re-ranked here too: trained." in text
    assert "as it is: not trained: the model as it is" in text
    page = to_html(results)
    assert "candidates of other instead of bm25" in page
    assert "Of 2 bounds of the study file: 1 out and 1 in." in page


def test_values_and_provenance_name_the_first_stage(output: Path, tmp_path: Path) -> None:
    write_values(output, tmp_path / "values.parquet")
    table = pq.read_table(tmp_path / "values.parquet").to_pylist()
    assert {(row["kind"], row["recipe"], row["first_stage"]) for row in table} == {
        *(("first stage", name, name) for name in ("bm25", "other")),
        *(("recipe", recipe, name) for recipe in ("trained", "as it is") for name in ("bm25", "other")),
    }
    described = provenance(output)
    assert all(sum(file.endswith("run.gz") for file in cell["files"]) == 2 for cell in described["cells"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"bounds": [{"recipe": "traned", "collection": "beir13", "at_least": 1, "at_most": 0}]},
            '"traned" is no recipe',
        ),
        ({"bounds": [{"recipe": "trained", "collection": "beir13", "at_least": 0, "at_most": 1}]}, '"beir13" is no'),
        ({"bounds": [{"recipe": "trained", "collection": "mini/test", "at_least": 1, "at_most": 0}]}, "above at_most"),
        ({"evaluation": {"other_first_stages": ["bm25"]}}, '"bm25" is named above already'),
        ({"evaluation": {"other_first_stages": ["splade"]}}, '"splade" is no first stage'),
        ({"collections": {"test": ["mini/test"]}}, "collections: has no train"),
        ({"backbones": {"bert-base": None}}, "has no scoring head, and the recipe as it is trains none"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(
    scorer: Path, study_file: StudyFile, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(study_file({**study(scorer), **change}))
    assert problem in str(caught.value)
