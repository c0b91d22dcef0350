from pathlib import Path

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.lists import Conversion, Sample, convert, lists_from_run, read_lists
from limbeck.lists.candidates import CorpusNegatives
from limbeck.runs import Run, rank, write_run


@pytest.fixture
def collection() -> Collection:
    documents = {f"d{n}": f"text {n}" for n in range(40)}
    queries = {f"q{n}": f"query {n}" for n in range(3)}
    qrels = {"q0": {"d0": 1, "d9": 2, "d8": 0}, "q1": {"d1": 1}, "q2": {"d2": 1}}
    return Collection("some", documents, queries, qrels, tuple(queries))


@pytest.fixture
def run(collection: Collection) -> Run:
    return Run("first", {query: rank([f"d{n}" for n in range(4)], [4.0, 3, 2, 1]) for query in collection.queries})


def test_they_are_the_same_for_a_query_whatever_was_drawn_before_and_differ_between_queries(
    collection: Collection,
) -> None:
    draws = CorpusNegatives(collection, 8)
    first = draws.draw("q0", [])
    assert draws.draw("q1", []) != first
    assert CorpusNegatives(collection, 8).draw("q0", []) == first == draws.draw("q0", [])
    assert len(set(first)) == 8
    assert draws.draw("q0", first[:1])[:7] == first[1:]


def test_neither_candidates_nor_relevant_passages_are_drawn(collection: Collection) -> None:
    everything = CorpusNegatives(collection, 36).draw("q0", ["d5", "d6"])
    assert set(everything) == set(collection.documents) - {"d0", "d9", "d5", "d6"}  # d8 is judged not relevant
    with pytest.raises(DataError, match="37 corpus negatives for query q0: some has 40 documents, 4 of which are"):
        CorpusNegatives(collection, 37).draw("q0", ["d5", "d6"])


def test_a_run_and_a_published_file_get_the_same_ones_behind_all_others(
    collection: Collection, run: Run, tmp_path: Path
) -> None:
    made = lists_from_run(collection, run, 3, labels=True, order=False, corpus_negatives=5)
    write_run(run, tmp_path / "x.run")
    conversion = Conversion("run", 3, frozenset(), True, corpus_negatives=5)
    convert(tmp_path / "x.run", tmp_path / "x.parquet", conversion, collection)
    found = read_lists(tmp_path / "x.parquet")
    assert found == made
    assert found.metadata["corpus_negatives"] == made.metadata["corpus_negatives"] == "5"
    plain = lists_from_run(collection, run, 3, labels=True, order=False)
    for query, short, long, labels in zip(
        plain.query_ids, plain.passage_ids, made.passage_ids, made.labels or (), strict=True
    ):
        assert long == [*short, *CorpusNegatives(collection, 5).draw(query, short)]
        assert not labels[len(short) :].any()


def test_a_sample_mixes_them_with_retrieved_ones(collection: Collection, run: Run) -> None:
    made = lists_from_run(collection, run, 4, labels=True, order=False, corpus_negatives=5)
    sample = Sample(depth=4, positives=1, negatives=2, random=3)
    assert made.labels is not None
    drawn = sample.draw(len(made.passage_ids[1]), made.labels[1], np.random.default_rng(0))
    assert (sum(drawn < 4), sum(drawn >= 4)) == (3, 3)


@pytest.mark.parametrize("signals", [frozenset({"teacher_order"}), None])
def test_beside_a_teachers_signal_they_are_refused(
    signals: frozenset[str] | None, collection: Collection, run: Run, tmp_path: Path
) -> None:
    write_run(run, tmp_path / "x.run")
    for labels in (True, False):
        conversion = Conversion("run", 3, signals, labels, corpus_negatives=5)
        with pytest.raises(UsageError, match="corpus_negatives have no teacher's signal"):
            convert(tmp_path / "x.run", tmp_path / "x.parquet", conversion, collection)
    with pytest.raises(UsageError, match="expected labels, and no order"):
        lists_from_run(collection, run, labels=True, order=True, corpus_negatives=1)
