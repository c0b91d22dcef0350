from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from limbeck.collections import load_collection
from limbeck.lists import Conversion, Lists, convert, lists_from_run, read_lists
from limbeck.runs import read_run
from limbeck.study.analysis.gather import gather
from limbeck.study.config.study import StudyError, load_study
from limbeck.study.run.artifacts import Materials
from limbeck.study.run.execute import run_study
from limbeck.study.run.store import Store

StudyFile = Callable[..., Path]

SCORES = "".join(f"{n}.5\t-{n}\tq{n}\td{n}\td{n + 5}\n" for n in range(5))
RUN = "".join(f"q{q} Q0 d{d} 1 {30 - d} llm\n" for q in range(5) for d in range(8))


@pytest.fixture
def published(laboratory: Path) -> Path:
    (laboratory / "scores.tsv").write_text(SCORES)
    (laboratory / "llm.run").write_text(RUN)
    return laboratory


def lists_of(path: Path, name: str, output: Path) -> Lists:
    return Materials(load_study(path).sources, Store(output), Console(quiet=True)).lists(name)


def only(tiny: dict[str, Any], source: dict[str, Any], objective: str) -> dict[str, Any]:
    tiny["lists"] = {"source": source}
    tiny["recipes"] = {"R": [{"objective": objective, "lists": "source", "steps": 2, "lists_per_step": 2}]}
    tiny["seeds"] = [1]
    return tiny


def test_a_published_file_is_trained_on_by_its_formats_name(
    published: Path, study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    path = study_file(only(tiny, {"format": "hofstaetter", "path": "scores.tsv"}, "MarginMSE"))
    assert run_study(load_study(path), tmp_path)["done"] == 1
    (cell,) = gather(tmp_path).cells
    assert (cell.state, cell.training.stages[0].lists) == ("done", 5)


def test_a_study_and_the_command_make_the_same_lists(
    published: Path, study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    train = load_collection(str(published / "mini" / "train"))
    for source, objective, conversion in (
        ({"format": "hofstaetter", "path": "scores.tsv"}, "MSE", Conversion("hofstaetter")),
        ({"format": "run", "path": "llm.run", "signal": "order", "depth": 6}, "RankNet", Conversion("run", 6)),
        (
            {"format": "run", "path": "llm.run", "signal": "scores"},
            "MarginMSE",
            Conversion("run", signals=frozenset({"teacher_scores", "teacher_order"})),
        ),
    ):
        study = study_file(only(tiny, source, objective))
        convert(published / source["path"], tmp_path / "own.parquet", conversion, train)
        assert lists_of(study, "source", tmp_path / objective) == read_lists(tmp_path / "own.parquet")


def test_judged_positives_are_added_to_a_run_unless_the_study_says_no(
    published: Path, study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    train, run = load_collection(str(published / "mini" / "train")), read_run(published / "llm.run")
    source: dict[str, Any] = {"format": "run", "path": "llm.run", "labels": "qrels", "depth": 4}
    for add in (True, False):
        study = study_file(only(tiny, {**source, "add_positives": add}, "InfoNCE"))
        expected = lists_from_run(train, run, 4, labels=True, order=False, add_missing_positives=add)
        assert lists_of(study, "source", tmp_path) == expected
        assert expected.passage_ids != [run[query].docids[:4] for query in expected.query_ids] or not add


def test_random_passages_of_the_collection_stand_behind_a_lists_own(
    published: Path, study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    train, run = load_collection(str(published / "mini" / "train")), read_run(published / "llm.run")
    expected = lists_from_run(train, run, 4, labels=True, order=False, corpus_negatives=3)
    source: dict[str, Any] = {"format": "run", "path": "llm.run", "labels": "qrels", "depth": 4, "corpus_negatives": 3}
    source["sample"] = {"depth": 4, "positives": 1, "negatives": 1, "random": 2}
    assert lists_of(study_file(only(tiny, source, "InfoNCE")), "source", tmp_path) == expected


def test_a_run_that_is_only_to_be_scored_by_a_teacher_carries_the_teachers_signals(
    published: Path, study_file: StudyFile, tiny: dict[str, Any], tmp_path: Path
) -> None:
    study = study_file(only(tiny, {"format": "run", "path": "llm.run", "teacher": "bert", "depth": 3}, "MSE"))
    lists = lists_of(study, "source", tmp_path)
    assert lists.signals == {"teacher_scores", "teacher_order"}
    assert all(len(passages) == 3 for passages in lists.passage_ids)
    kept = [path.parent.name for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(kept) == ["lists", "taught"]  # parts on the way are gone


def test_a_policy_is_named_in_the_study(published: Path, study_file: StudyFile, tiny: dict[str, Any]) -> None:
    source = {"format": "run", "path": "llm.run", "labels": "qrels", "sample": "paper-infonce"}
    sample = load_study(study_file(only(tiny, source, "InfoNCE"))).sources.sample("source")
    assert (sample.negatives, sample.replacement, sample.first) == (7, True, True)


@pytest.mark.parametrize(
    ("source", "objective", "words"),
    [
        (
            {"format": "hofstater", "path": "scores.tsv"},
            "MSE",
            'source.format: is "hofstater"; expected limbeck, colbertv2',
        ),
        ({"format": "hofstaetter"}, "MSE", "source.format: is hofstaetter without a path"),
        ({"format": "hofstaetter", "path": "absent.tsv"}, "MSE", 'source.path: "absent.tsv": no such file'),
        ({"format": "hofstaetter", "path": "llm.run"}, "MSE", "llm.run:1: 1 tab-separated columns; expected 5"),
        (
            {"format": "hofstaetter", "path": "scores.tsv", "signal": "order"},
            "MSE",
            "source.signal: goes with runs only",
        ),
        (
            {"format": "hofstaetter", "path": "scores.tsv", "teacher": "bert"},
            "MSE",
            "teacher: goes with format: run only",
        ),
        ({"format": "hofstaetter", "path": "scores.tsv"}, "RankNet", "provides labels, teacher_scores; add"),
        ({"format": "triples", "path": "scores.tsv"}, "BCE", "scores.tsv:1: 5 tab-separated columns; expected 3"),
        ({"format": "hofstaetter", "path": "scores.tsv", "checksum": "12"}, "MSE", "source.checksum: "),
        (
            {"format": "run", "first_stage": "bm25", "labels": "qrels", "checksum": "0" * 32},
            "BCE",
            "source.checksum: is of one file, but path names 0",
        ),
        ({"format": "run", "path": "llm.run", "labels": "qrels", "sample": "paper-infonse"}, "BCE", "paper-infonce"),
    ],
)
def test_what_a_published_file_cannot_be_is_said_before_anything_is_trained(
    published: Path, study_file: StudyFile, tiny: dict[str, Any], source: dict[str, Any], objective: str, words: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(study_file(only(tiny, source, objective)))
    assert words in str(caught.value)
