"""Folds of a split's queries: the `@1/5` that may end a collection's name."""

import hashlib
import os.path
import re
from dataclasses import dataclass, replace

from limbeck.collections.collection import Collection
from limbeck.core.errors import UsageError

SUFFIX = re.compile(r"(?P<base>.+)@(?P<folds>[^/@]*)/(?P<count>[^/@]*)")
FORM = "expected @FOLDS/N, such as @1/5, @2-5/5 or @1,3-5/5, with folds counted from 1 to N"


@dataclass(frozen=True)
class Folds:
    """Some of `count` equal parts of a split's queries; `chosen` counts from 1."""

    chosen: frozenset[int]
    count: int


def split_folds(name: str) -> tuple[str, Folds | None]:
    """A collection's name without its folds, and the folds. A folder that is there, such as `trec@2024`, has none.

    >>> split_folds("scifact/train@2-3/3")[0]
    'scifact/train'

    Raises UsageError for a suffix that begins like one of folds but is none.
    """
    match = SUFFIX.fullmatch(name)
    if match is None or not re.match(r"[0-9,-]", match["folds"]):
        return name, None
    if any(os.path.isdir(os.path.expanduser(path)) for path in (name, f"{match['base']}@{match['folds']}")):
        return name, None
    if not re.fullmatch(r"[0-9]{1,9}", match["count"]) or int(match["count"]) < 1:
        raise UsageError(f'{name}: "{match["count"]}" is no number of folds; {FORM}')
    count = int(match["count"])
    chosen: set[int] = set()
    for part in match["folds"].split(","):
        bounds = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", part)
        first, last = (int(bounds[1]), int(bounds[2] or bounds[1])) if bounds else (0, 0)
        if not 1 <= first <= last <= count:
            raise UsageError(f'{name}: "{part}" names no folds of {count}; {FORM}')
        chosen.update(range(first, last + 1))
    return match["base"], Folds(frozenset(chosen), count)


def keep_folds(collection: Collection, folds: Folds) -> Collection:
    """The same collection with only the queries and judgments of some folds.

    Queries are sorted by the SHA-256 of their id and dealt out like cards, so folds differ in size by one query at
    most, do not depend on the order of any file, and are the same everywhere.

    Raises UsageError where no query is left.
    """
    dealt = sorted(collection.query_ids, key=lambda query_id: hashlib.sha256(query_id.encode()).digest())
    kept = {query_id for position, query_id in enumerate(dealt) if position % folds.count + 1 in folds.chosen}
    if not kept:
        raise UsageError(
            f"{collection.name}: no query is left in the chosen folds of {folds.count}: "
            f"there are {len(dealt)} queries in all; choose fewer folds"
        )
    return replace(
        collection,
        query_ids=tuple(query_id for query_id in collection.query_ids if query_id in kept),
        qrels={query_id: grades for query_id, grades in collection.qrels.items() if query_id in kept},
    )
