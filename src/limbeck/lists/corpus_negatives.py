"""Passages drawn at random from the whole collection, as easy negatives beside retrieved ones."""

import hashlib
from collections.abc import Collection as Container
from functools import cached_property

import numpy as np

from limbeck.collections import Collection
from limbeck.errors import DataError


class CorpusNegatives:
    """Draws `count` passages for a query; they depend on its id, the documents' order and what is excluded alone.

    A drawn passage is none of those given, not judged relevant and not the query's own document. It may be relevant all
    the same, where nobody has judged it: the less likely, the larger the collection.
    """

    def __init__(self, collection: Collection, count: int) -> None:
        self.collection, self.count = collection, count

    @cached_property
    def _docids(self) -> list[str]:
        return list(self.collection.documents)

    def draw(self, query_id: str, present: Container[str]) -> list[str]:
        """`count` passages that are not `present`, in the order drawn. DataError where there are not so many."""
        grades = self.collection.qrels.get(query_id, {})
        excluded = {*present, *(passage for passage, grade in grades.items() if grade > 0)}
        if self.collection.drop_query_document:
            excluded.add(query_id)
        if self.count + len(excluded) > len(self._docids):
            raise DataError(
                f"{self.count} corpus negatives for query {query_id}: {self.collection.name} has {len(self._docids)} "
                f"documents, {len(excluded)} of which are candidates or relevant; expected fewer"
            )
        seed = int.from_bytes(hashlib.sha256(query_id.encode()).digest()[:16], "little")
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        drawn: dict[str, None] = {}
        while len(drawn) < self.count:
            passage = self._docids[int(random.integers(len(self._docids)))]
            if passage not in excluded:
                drawn[passage] = None
        return list(drawn)
