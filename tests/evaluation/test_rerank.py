from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.evaluation import rerank
from limbeck.runs import Run


@dataclass
class _Rows:
    ids: list[str]

    def rows(self, wanted: list[str]) -> np.ndarray:
        return np.array([self.ids.index(name) for name in wanted], np.int64)


@dataclass
class _Pairs:
    queries: _Rows
    passages: _Rows


class Stub:
    """Scores a pair by the number in its document's id, or by the query's sign; notes how many calls it took."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def score_rows(self, pairs: _Pairs, query_rows: Any, passage_rows: Any, *_: Any, advance: Any) -> np.ndarray:
        self.calls.append(len(query_rows))
        advance(len(query_rows))
        sign = [-1 if pairs.queries.ids[row] == "q2" else 1 for row in query_rows]
        return np.array([s * int(pairs.passages.ids[row][1:]) for s, row in zip(sign, passage_rows, strict=True)], "f4")


COLLECTION = Collection(
    "c", {f"d{n}": f"text {n}" for n in range(6)}, {q: q for q in ("q1", "q2", "q3", "q4")}, {}, ("q1", "q2", "q3")
)
RUN = Run.from_scores(
    "first",
    {"q1": {"d1": 3, "d4": 2, "d2": 1}, "q2": {"d5": 4, "d0": 3, "d3": 2, "d1": 1}, "q4": {"d1": 1.0}},
)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Stub:
    stores = _Pairs(_Rows(list(COLLECTION.queries)), _Rows([*COLLECTION.documents, "q1"]))
    monkeypatch.setattr("limbeck.tokens.pairs.collection_pairs", lambda *_: stores)
    return Stub()


def ranked(encoder: Stub, collection: Collection = COLLECTION, run: Run = RUN, depth: int = 100) -> dict[str, Any]:
    return {q: ranking.docids for q, ranking in rerank(encoder, collection, run, depth).items()}


def test_candidates_are_ordered_by_the_scores_of_their_own_query(encoder: Stub) -> None:
    assert ranked(encoder) == {"q1": ("d4", "d2", "d1"), "q2": ("d0", "d1", "d3", "d5")}
    assert encoder.calls == [7]  # all queries share micro-batches


def test_only_the_first_candidates_are_scored_and_kept(encoder: Stub) -> None:
    assert ranked(encoder, depth=2) == {"q1": ("d4", "d1"), "q2": ("d0", "d5")}
    assert encoder.calls == [4]


def test_the_querys_own_document_is_dropped_before_the_depth_counts(encoder: Stub) -> None:
    run = Run.from_scores("own", {"q1": {"q1": 9.0, "d1": 3, "d4": 2, "d2": 1}})
    assert ranked(encoder, replace(COLLECTION, drop_query_document=True), run, 2) == {"q1": ("d4", "d1")}


def test_a_run_of_other_queries_is_refused(encoder: Stub) -> None:
    with pytest.raises(DataError, match="none of the 3 queries of c"):
        ranked(encoder, run=Run.from_scores("other", {"q4": {"d1": 1.0}}))


def test_the_result_bears_the_given_name(encoder: Stub) -> None:
    assert rerank(encoder, COLLECTION, RUN, 5, name="mine").name == "mine"
