"""Exhaustive search: every query against every document, part by part, with the best kept."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.core.progress import with_total_progress
from limbeck.runs import Ranking, Run, rank


def best(scores: NDArray[Any], depth: int) -> NDArray[np.intp]:
    """Places of the `depth` highest of scores [n], and of all that tie with the last one, in no order.

    So the tie rule of rankings decides among those that tie, and not their place.
    """
    if len(scores) <= depth:
        return np.arange(len(scores))
    last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    return np.flatnonzero(scores >= last)


def require_depth(first_stage: str, depth: int) -> None:
    """Raise UsageError for a depth that is none."""
    if depth < 1:
        raise UsageError(f"{first_stage}: the depth is {depth}; expected 1 or more")


Floats = NDArray[np.float32]
Positions = NDArray[np.int64]
Hits = Iterator[tuple[int, NDArray[Any], Floats]]


class Parts(Sized, Iterable[Any], Protocol):
    """Texts in parts, read anew in the same order each time."""


class Best:
    """The best documents of each query so far, and all that tie with its last one.

    Attributes:
        positions: for each query, the places of its documents in the collection.
        scores: aligned with them.
        floor: [queries] what a document must score to be among them.
    """

    def __init__(self, queries: int, depth: int) -> None:
        self.depth = depth
        self.positions: list[Positions] = [np.zeros(0, np.int64)] * queries
        self.scores: list[Floats] = [np.zeros(0, np.float32)] * queries
        self.floor = np.full(queries, -np.inf, np.float32)

    def add(self, query: int, positions: Positions, scores: Floats) -> None:
        """Take in further documents of a query."""
        positions = np.concatenate([self.positions[query], positions])
        scores = np.concatenate([self.scores[query], scores])
        kept = best(scores, self.depth)
        self.positions[query], self.scores[query] = positions[kept], scores[kept]
        if len(kept) >= self.depth:
            self.floor[query] = scores[kept].min()


def search(
    name: str,
    collection: Collection,
    queries: Parts,
    documents: Parts,
    part_size: int,
    compare: Callable[[Any, Any, Floats], Hits],
    depth: int,
    progress: bool,
) -> Run:
    """The run of the best `depth` documents for each of the collection's `query_ids`, exactly.

    What is held in memory: one part of each, and what `compare` makes of them. Ties are cut by the run's own rule; a
    query's own document is left out where the collection says so.

    Args:
        queries: parts of the collection's queries.
        documents: parts of its documents, each of `part_size` but the last.
        compare: (part of queries, part of documents, floor) → the rows of queries, each with the columns of documents
            that score at least its floor [queries], and their scores. It may leave out what cannot be among the best.
    """
    # One more, to be left with `depth` when the query's own is dropped.
    kept = depth + collection.drop_query_document
    found: list[tuple[Positions, Floats]] = []
    for query_part in queries:
        best_of = Best(query_part.shape[0], kept)
        parts = with_total_progress(
            documents, f"{name}: retrieving", "parts of the documents", len(documents), progress
        )
        for number, document_part in enumerate(parts):
            for query, columns, scores in compare(query_part, document_part, best_of.floor):
                best_of.add(query, columns + np.int64(number * part_size), scores)
        found += zip(best_of.positions, best_of.scores, strict=True)
    docids = _docids(collection, [positions for positions, _ in found])
    rankings: dict[str, Ranking] = {}
    for query_id, (positions, scores) in zip(collection.query_ids, found, strict=True):
        by_docid = dict(zip([docids[position] for position in positions.tolist()], scores.tolist(), strict=True))
        if collection.drop_query_document:
            by_docid.pop(query_id, None)
        rankings[query_id] = rank(list(by_docid), list(by_docid.values())).cut(depth)
    return Run(name, rankings, tag=name)


def _docids(collection: Collection, found: list[Positions]) -> dict[int, str]:
    """Position → docid of the documents that were found; the ids of all others are only passed by."""
    wanted = set(np.unique(np.concatenate([np.zeros(0, np.int64), *found])).tolist())
    return {position: docid for position, docid in enumerate(collection.documents) if position in wanted}
