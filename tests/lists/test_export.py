"""Each format that is written is read back by its own reader, and gives the lists but for what was counted as lost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.lists import (
    Conversion,
    Lists,
    convert,
    export,
    find_format,
    read_lists,
    teacher_order_from_scores,
    writable_format_names,
)
from limbeck.lists.formats.rankings import rank_distillm_name


@pytest.fixture
def taught() -> Lists:
    """Two lists, in the teacher's order, positives first, with scores that no decimal of 6 digits holds."""
    lists = Lists(
        ["q1", "q2"],
        [["d1", "d2", "d3"], ["d4", "d1"]],
        labels=[np.array([1, 0, 0]), np.array([1, 0])],
        teacher_scores=[np.array([1 / 3, 0.1, -7e-9]), np.array([12.5, 1.1])],
        metadata={"teacher": "models/mono-electra", "run": "colbert", "collection": "msmarco-passage/train/judged"},
    )
    return teacher_order_from_scores(lists)


def only(lists: Lists, *signals: str) -> Lists:
    names = ("labels", "teacher_scores", "teacher_order")
    return replace(lists, **{name: None for name in names if name not in signals})


@pytest.fixture
def back(tmp_path: Path) -> Callable[..., Lists]:
    """Lists as a reader finds them in a file."""

    def read(name: str, path: Path, *signals: str) -> Lists:
        convert(path, tmp_path / "back.parquet", Conversion(name, signals=frozenset(signals) or None))
        return read_lists(tmp_path / "back.parquet")

    return read


ROUND_TRIPS = [
    ("run", ("teacher_scores", "teacher_order"), "labels of lists"),
    ("rank-distillm", ("teacher_scores", "teacher_order"), "labels of lists"),
    ("rank-llm", ("teacher_order",), "labels of lists, teacher_scores of lists"),
    ("sbert-hard-negatives", ("labels", "teacher_scores"), ""),
    ("sentence-transformers", ("labels",), "teacher_order of lists, teacher_scores of lists"),
]


@pytest.mark.parametrize(("name", "carried", "lost"), ROUND_TRIPS)
def test_what_is_written_is_read_back_equal(taught, collection, tmp_path, back, name, carried, lost):
    found = export(taught, name, tmp_path / "out.file", collection)
    assert ", ".join(sorted(found.lost)) == lost
    assert set(found.lost.values()) <= {2}
    signals = carried if find_format(name).keep else ()
    assert back(name, found.path, *signals) == only(taught, *carried)


@pytest.mark.parametrize(("signal", "columns"), [("teacher_scores", 3), ("teacher_order", 2), ("labels", 3)])
def test_sentence_transformers_has_a_form_for_each_signal(taught, tmp_path, back, signal, columns):
    found = export(taught, "sentence-transformers", tmp_path / "out.parquet", signals=frozenset({signal}))
    assert not found.lost
    assert back("sentence-transformers", found.path) == only(taught, signal)


def test_pairs_of_positive_and_negative_are_read_back_equal(taught, tmp_path, back):
    found = export(taught, "hofstaetter", tmp_path / "out.tsv")
    assert found.lost == {"lists taken apart into pairs": 1}
    pairs = back("hofstaetter", found.path)
    assert pairs.passage_ids == [["d1", "d2"], ["d1", "d3"], ["d4", "d1"]]
    assert pairs[1].teacher_scores.tolist() == np.float32([1 / 3, -7e-9]).tolist()
    assert pairs[1].labels.tolist() == [1, 0]
    again = export(pairs, "hofstaetter", tmp_path / "again.tsv")
    assert not again.lost
    assert again.path.read_bytes() == found.path.read_bytes()


def test_what_a_format_cannot_carry_is_counted(taught, collection, tmp_path):
    shuffled = Lists(
        ["q1", "q2", "q3"],
        [["d2", "d1", "d3"], ["d1", "d4"], ["d5"]],
        labels=[np.array([0, 3, 0]), np.array([0, 0]), np.array([1])],
        teacher_scores=[np.array([0.1, 0.9, 0.1]), np.array([0.2, 0.1]), np.array([1])],
    )
    shuffled = teacher_order_from_scores(shuffled)
    assert export(shuffled, "rank-llm", tmp_path / "a", collection).lost == {
        "labels of lists": 3,
        "teacher_scores of lists": 3,
        "ties of the teacher": 1,
        "lists in another order than the teacher's": 1,
    }
    assert export(shuffled, "hofstaetter", tmp_path / "b").lost == {
        "grades above 1": 1,
        "lists without a positive": 1,
        "lists without a negative": 1,
        "lists taken apart into pairs": 1,
    }
    assert export(shuffled, "sbert-hard-negatives", tmp_path / "c").lost == {
        "grades above 1": 1,
        "lists whose positives do not come first": 1,
    }
    assert (tmp_path / "b").read_text() == "0.9\t0.1\tq1\td1\td2\n0.9\t0.1\tq1\td1\td3\n"


def test_rank_distillms_name_says_what_the_file_is(taught, tmp_path):
    name = "__mono_electra-colbert-2-sampled-3__msmarco-passage-train-judged.run"
    assert rank_distillm_name(taught) == name
    (tmp_path / "runs").mkdir()
    assert export(taught, "rank-distillm", tmp_path / "runs").path == tmp_path / "runs" / name
    assert export(taught, "rank-distillm", f"{tmp_path}/new/").path == tmp_path / "new" / name


def test_what_cannot_be_written_is_refused(taught, collection: Collection, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="colbertv2 is only read; expected one of hofstaetter, rank-dist"):
        export(taught, "colbertv2", out)
    with pytest.raises(UsageError, match="no labels and no teacher_scores, which this format is made of; they have "):
        export(only(taught, "teacher_order"), "hofstaetter", out)
    with pytest.raises(UsageError, match="the lists have no labels"):
        export(only(taught, "teacher_order"), "run", out, signals=frozenset({"labels"}))
    with pytest.raises(UsageError, match="name the collection"):
        export(taught, "rank-llm", out)
    twice = replace(taught, query_ids=["q1", "q1"])
    for name in ("run", "rank-llm", "sbert-hard-negatives"):
        with pytest.raises(DataError, match='query "q1" has several lists'):
            export(twice, name, out, collection)
    with pytest.raises(DataError, match='"q2" is not among the queries of tiny'):
        export(taught, "rank-llm", out, replace(collection, queries={"q1": "x"}))
    assert not list(tmp_path.iterdir())


def test_every_written_form_is_read_back_here(taught):
    assert {name for name, _, _ in ROUND_TRIPS} | {"hofstaetter", "scored-pairs"} == set(writable_format_names())


@pytest.mark.parametrize("signal", ["labels", "teacher_scores", "teacher_order"])
def test_datasets_loads_what_sentence_transformers_trains_on(taught, tmp_path, signal):
    datasets = pytest.importorskip(
        "datasets", reason="pip install datasets: it is what sentence-transformers reads with"
    )
    found = export(taught, "sentence-transformers", tmp_path / "out.parquet", signals=frozenset({signal}))
    loaded = datasets.load_dataset("parquet", data_files=str(found.path), split="train", cache_dir=str(tmp_path / "hf"))
    passages = [passage for row in taught.passage_ids for passage in row]
    if signal == "teacher_scores":
        assert loaded["passage_id"][:] == passages
        assert np.float32(loaded["score"][:]).tolist() == np.concatenate(list(taught.teacher_scores)).tolist()
    else:
        assert [passage for row in loaded["doc_ids"] for passage in row] == passages
    if signal == "labels":
        assert list(loaded["labels"]) == [[1, 0, 0], [1, 0]]
