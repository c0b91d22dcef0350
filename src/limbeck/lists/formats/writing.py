"""What writers of published formats have in common: what lists must have, and what a format cannot carry, counted."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from limbeck.core.errors import DataError, UsageError
from limbeck.core.files import atomic_write
from limbeck.lists.lists import SIGNALS, Lists, TrainingList

Lost = Counter[str]
"""What a format could not carry, such as `lists without a negative`, and how often."""


def require(lists: Lists, *signals: str) -> None:
    """UsageError for lists without one of these signals."""
    absent = [name for name in signals if lists.values(name) is None]
    if absent:
        has = ", ".join(sorted(lists.signals)) or "none"
        raise UsageError(f"the lists have no {' and no '.join(absent)}, which this format is made of; they have {has}")


def one_list_a_query(lists: Lists) -> Iterator[TrainingList]:
    """The lists, for a format that tells them apart by their query. DataError for a query that has several."""
    seen: set[str] = set()
    for number in range(len(lists)):
        row = lists[number]
        if row.query_id in seen:
            raise DataError(
                f'query "{row.query_id}" has several lists, of which this format holds one; take hofstaetter or '
                "sentence-transformers"
            )
        seen.add(row.query_id)
        yield row


def by_teacher(row: TrainingList, lost: Lost) -> list[int]:
    """Places of a list's passages, the teacher's first to its last; of equal ones the earlier first, and counted."""
    order = row.teacher_order
    assert order is not None
    lost["ties of the teacher"] += len(order) - len(np.unique(order))
    places = np.argsort(-order, kind="stable").tolist()
    lost["lists in another order than the teacher's"] += places != list(range(len(places)))
    return [int(place) for place in places]


def by_label(row: TrainingList, lost: Lost) -> tuple[list[int], list[int]]:
    """Places of the positives and of the negatives; grades above 1 are counted."""
    assert row.labels is not None
    lost["grades above 1"] += int((row.labels > 1).sum())
    return np.flatnonzero(row.labels > 0).tolist(), np.flatnonzero(row.labels <= 0).tolist()


def dropped(lists: Lists, *carried: str) -> Lost:
    """How many lists lose which signal."""
    return Counter({f"{name} of lists": len(lists) for name in SIGNALS if name in lists.signals - set(carried)})


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """A text file of these lines, gzipped if its name says so."""
    with atomic_write(path) as file:
        for line in lines:
            file.write(f"{line}\n".encode())


def as_plain(text_id: str) -> int | str:
    """An id as MS MARCO's stand in JSON."""
    return int(text_id) if text_id.isdecimal() else text_id
