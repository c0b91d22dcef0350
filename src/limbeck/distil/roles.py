"""Which queries of a collection teach, which choose, and which tell the truth."""

import os
from dataclasses import dataclass
from typing import Literal

from limbeck.collections import Collection, load_collection
from limbeck.collections.load import DEMO, SUFFIX, is_local, load_documents, without_suffixes
from limbeck.core.errors import DataError, MissingError, UsageError, plural

Kind = Literal["judged", "queries", "documents"]

FEWEST_JUDGED = 20
"""Judged queries below which nothing can be chosen or said by judgments."""

FEWEST_QUERIES = 10
"""Queries without judgments below which the documents' sentences take their place."""

DEALT, DEALT_VALID, DEALT_TRAIN, DEALT_TEST = 10, (1, 2), (3, 6), (7, 10)
"""Folds of judged queries that are of one split, and the first and last of those that choose, teach and test."""

CHOOSING = 200
"""Queries that choose; as many as this where there are five times as many."""

AGREEING = 100
"""Queries on which agreement with the teacher is measured, where no judgments are."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The parts that a collection's queries play. No query plays two.

    Attributes:
        place: the collection, a folder by its absolute path.
        kind: whether held-out queries have judgments, or only texts, or are the documents' own sentences.
        queries: the name whose folds `first` to `last` of `folds` teach.
        valid: chooses.
        test: tells the truth; None without judgments.
    """

    place: str
    kind: Kind
    queries: str
    folds: int
    first: int
    last: int
    valid: str
    test: str | None

    def training(self, known: int, wanted: int) -> str:
        """The name of at most about `wanted` of the training queries, of which there are `known`."""
        count = self.last - self.first + 1
        kept = min(count, max(1, round(count * wanted / max(1, known))))
        last = self.first + kept - 1
        return f"{self.queries}@{self.first}-{last}/{self.folds}" if kept > 1 else self._fold(self.first)

    def _fold(self, number: int) -> str:
        return f"{self.queries}@{number}/{self.folds}"


def roles_of(collection: str) -> Roles:
    """Deal a collection's queries.

    Where there are the splits train and test, a part of train chooses and test is test. Judged queries of one split are
    dealt in ten folds: two choose, four teach, four test. Of queries without judgments, some are held out; where there
    are no queries, the documents' sentences take their place.

    Raises:
        UsageError: a name that ends in folds or sentences already.
        DataError: judgments of too few queries.
        LimbeckError: what `load_collection` raises.
    """
    if without_suffixes(collection) != collection:
        raise UsageError(f"{collection}: distil deals the queries itself; expected {without_suffixes(collection)}")
    is_folder = is_local(collection) and collection.split("/")[0] != DEMO
    place = os.path.abspath(os.path.expanduser(collection)) if is_folder else collection
    splits = _splits(place)
    if splits:
        train, _ = splits
        folds = max(5, -(-len(train.query_ids) // CHOOSING))
        return _roles(place, "judged", f"{place}/train", folds, f"{place}/test")
    found = load_documents(place)
    if len(found.qrels) >= FEWEST_JUDGED:
        valid, test = (f"{place}@{first}-{last}/{DEALT}" for first, last in (DEALT_VALID, DEALT_TEST))
        return Roles(
            place=place, kind="judged", queries=place, folds=DEALT, first=DEALT_TRAIN[0], last=DEALT_TRAIN[1],
            valid=valid, test=test,
        )  # fmt: skip
    if found.qrels:
        raise DataError(
            f"{place}: {plural(len(found.qrels), 'judged query')} cannot teach, choose and tell the truth; expected "
            f"{FEWEST_JUDGED} or more, or none (without judgments, agreement with the teacher is told)"
        )
    if len(found.query_ids) >= FEWEST_QUERIES:
        return _roles(place, "queries", place, max(5, -(-len(found.query_ids) // AGREEING)))
    name = f"{place}{SUFFIX}"
    return _roles(place, "documents", name, max(5, -(-len(load_collection(name).query_ids) // AGREEING)))


def _roles(place: str, kind: Kind, queries: str, folds: int, test: str | None = None) -> Roles:
    return Roles(
        place=place, kind=kind, queries=queries, folds=folds, first=2, last=folds, valid=f"{queries}@1/{folds}",
        test=test,
    )  # fmt: skip


def _splits(place: str) -> tuple[Collection, Collection] | None:
    try:
        found = load_collection(f"{place}/train"), load_collection(f"{place}/test")
    except (UsageError, MissingError):
        return None
    return found if all(len(each.qrels) >= FEWEST_JUDGED for each in found) else None
