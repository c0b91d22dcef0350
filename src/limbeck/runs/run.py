"""A run: one ranking per query, under a name."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from limbeck.collections.lines import id_fault, is_encodable
from limbeck.core.errors import DataError, UsageError
from limbeck.runs.ranking import Ranking, rank


@dataclass(frozen=True, eq=False, repr=False)
class Run(Mapping[str, Ranking]):
    """Ranked candidates per query: a mapping from query id to `Ranking`, in the order it was built or read.

    A query without candidates is no part of a run, as in a TREC file, and is left out. Two runs are equal when their
    rankings are; names and tags do not count.

    Attributes:
        name: what people call it: in tables, and in messages.
        rankings: query id → ranking, none of them empty.
        tag: the sixth column of a TREC file; one word.

    Raises DataError for query ids or tags that a TREC file cannot carry.
    """

    name: str
    rankings: dict[str, Ranking] = field(repr=False)
    tag: str = "limbeck"

    def __post_init__(self) -> None:
        kept = {query_id: ranking for query_id, ranking in self.rankings.items() if len(ranking)}
        object.__setattr__(self, "rankings", kept)
        for query_id in kept:
            if fault := id_fault(query_id):
                raise DataError(f"run {self.name}: a query cannot be written to a run: {fault}")
            if not is_encodable(query_id):
                raise DataError(f"run {self.name}: the query id {query_id!r} cannot be written as UTF-8")
        if id_fault(self.tag) or not is_encodable(self.tag):
            raise DataError(f"run {self.name}: the tag {self.tag!r} must be one word without whitespace")

    @classmethod
    def from_scores(cls, name: str, scores: Mapping[str, Mapping[str, float]], tag: str = "limbeck") -> "Run":
        """A run from query id → docid → score, each query ordered by the tie rule."""
        rankings = {}
        for query_id, by_document in scores.items():
            try:
                rankings[query_id] = rank(list(by_document), list(by_document.values()))
            except DataError as error:
                raise DataError(f"run {name}, query {query_id}: {error}") from None
        return cls(name, rankings, tag)

    def __getitem__(self, query_id: str) -> Ranking:
        return self.rankings[query_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rankings)

    def __len__(self) -> int:
        return len(self.rankings)

    def __repr__(self) -> str:
        return f"Run({self.name}: {len(self)} queries, {sum(map(len, self.values()))} candidates)"

    def cut(self, depth: int) -> "Run":
        """The first `depth` candidates of every query, depth ≥ 1."""
        if depth < 1:
            raise UsageError(f"a run cannot be cut to a depth of {depth}; expected 1 or more")
        return Run(self.name, {query_id: ranking.cut(depth) for query_id, ranking in self.items()}, self.tag)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over query ids, docids and scores. Name, tag and order of queries do not count."""
        digest = hashlib.sha256()
        for query_id in sorted(self.rankings):
            ranking = self.rankings[query_id]
            digest.update(f"{query_id}\n{' '.join(ranking.docids)}\n".encode())
            digest.update(ranking.scores.astype(np.dtype("<f8")).tobytes())
        return digest.hexdigest()[:16]
