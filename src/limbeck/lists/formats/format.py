"""What a published format is: a reader from a place in a file to rows, each of them one list, and an example of it.

Beside it, what readers have in common (lines of so many columns, or of JSON, and the ids and numbers in them), and what
writers have: what lists must have, and what a format cannot carry, counted.
"""

import importlib
import json
import math
import pkgutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections import Collection
from limbeck.collections.text_files import Position, finite_number, placed_lines
from limbeck.core.errors import DataError, MissingError, UsageError, nearest, plural
from limbeck.core.files import atomic_write
from limbeck.lists.lists import SIGNALS, Lists, TrainingList

Lost = Counter[str]
"""What a format could not carry, such as `lists without a negative`, and how often."""
_ROWS_AT_ONCE = 20_000


class RawList(NamedTuple):
    """One list as a reader gives it: ids, and for each signal that the file has one number per passage."""

    place: Position
    query_id: str
    passage_ids: list[str]
    labels: list[float] | None = None
    teacher_scores: list[float] | None = None
    teacher_order: list[float] | None = None


@dataclass(frozen=True)
class ExampleQuery:
    """A query and some passages, the best first by a teacher's scores, most of the judged ones above the others."""

    query_id: str
    passages: list[str]
    scores: list[float]
    relevant: frozenset[str]

    @property
    def positive(self) -> tuple[str, float]:
        """The first relevant passage and its score."""
        return next(pair for pair in self.scored if pair[0] in self.relevant)

    @property
    def negatives(self) -> list[tuple[str, float]]:
        """The passages that are not relevant, and their scores."""
        return [pair for pair in self.scored if pair[0] not in self.relevant]

    @property
    def scored(self) -> list[tuple[str, float]]:
        """All passages and their scores."""
        return list(zip(self.passages, self.scores, strict=True))


Example = Callable[[Sequence[ExampleQuery], Collection, frozenset[str], Path], None]


@dataclass(frozen=True)
class Format:
    """A published format.

    Attributes:
        about: what it is and where it comes from, in a line.
        read: (file, place to begin at) → rows. A row's place is where it begins, so that reading again from there gives
            the same row and all that follow. Raises DataError (`path:line: …`) for what is not of the format.
        example: (queries, their collection, signals, file) → the file, written as published ones are, with those
            signals where the format has several shapes; gzipped if its name says so. Rehearsals train on it.
        md5: published file name → its MD5.
        keep: the signals that are kept unless others are asked for; None: all that the file has.
        one_list_a_query: whether a query that comes again is an error.
        is_text: whether ids in the file are the texts themselves, to be looked up in a collection.
        is_pairs: whether every list has two passages, a positive and a negative.
        write: (lists, file, collection) → what the format could not carry, counted. Reading the file again gives the
            lists but for that. UsageError for lists without what the format is made of, or without a collection where
            texts are needed. None: the format is only read.
        writes_texts: whether `write` needs the collection.
        file_name: lists → the name under which a file of this format is published.
    """

    about: str
    read: Callable[[Path, Position], Iterator[RawList]]
    example: Example
    md5: Mapping[str, str] = field(default_factory=dict)
    keep: frozenset[str] | None = None
    one_list_a_query: bool = False
    is_text: bool = False
    is_pairs: bool = False
    write: Callable[[Lists, Path, Collection | None], Lost] | None = None
    writes_texts: bool = False
    file_name: Callable[[Lists], str] | None = None


def format_names() -> list[str]:
    """The names of all formats, sorted."""
    return list(_formats(tuple(sys.modules[str(__package__)].__path__)))


def writable_format_names() -> list[str]:
    """The names of the formats that can be written, sorted."""
    return [name for name in format_names() if find_format(name).write]


def find_format(name: str) -> Format:
    """The format of a name. UsageError names the nearest one there is."""
    found = _formats(tuple(sys.modules[str(__package__)].__path__))
    if name not in found:
        raise UsageError(f'"{name}" is no format of lists; expected one of {", ".join(found)}{nearest(name, found)}')
    return found[name]


@cache
def _formats(folders: tuple[str, ...]) -> dict[str, Format]:
    """What the modules of the formats' folders declare."""
    modules = (importlib.import_module(f"{__package__}.{module.name}") for module in pkgutil.iter_modules(folders))
    return dict(sorted(each for module in modules for each in getattr(module, "FORMATS", {}).items()))


def columns(path: Path, start: Position, names: tuple[str, ...]) -> Iterator[tuple[Position, list[str]]]:
    """(place, tab-separated columns) of each line that is not blank; DataError for another number of columns."""
    for place, line in placed_lines(path, start):
        found = line.split("\t")
        if len(found) != len(names):
            if not line.strip():
                continue
            raise DataError(
                f"{path}:{place.number}: {plural(len(found), 'tab-separated column')}; expected {len(names)}, "
                f"`{' '.join(names)}`"
            )
        yield place, found


def number(text: str, what: str, path: Path, place: Position) -> float:
    """A finite number of a text. DataError names the place."""
    value = finite_number(text)
    if value is None:
        raise DataError(f'{path}:{place.number}: {what} is "{text}", expected a finite number such as 12.5')
    return value


def as_id(value: Any, what: str, path: Path, place: Position) -> str:
    """An id that JSON or Parquet holds as a text or a whole number. DataError names the place."""
    if isinstance(value, str) or type(value) is int:
        return str(value)
    found = json.dumps(value, default=str)
    raise DataError(f"{path}:{place.number}: {what} is {found}, expected an id: a text or a whole number")


def as_number(value: Any, what: str, path: Path, place: Position) -> float:
    """A finite number that JSON or Parquet holds. DataError names the place."""
    if type(value) in (int, float) and math.isfinite(value):
        return float(value)
    raise DataError(f"{path}:{place.number}: {what} is {json.dumps(value, default=str)}, expected a finite number")


def column_names(path: Path) -> list[str]:
    """A Parquet file's columns. MissingError for no file, DataError for one that is no Parquet."""
    if not path.is_file():
        raise MissingError(f"{path}: no such file")
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}); fetch it anew") from None


def parquet_rows(path: Path, start: Position, names: tuple[str, ...]) -> Iterator[tuple[Position, list[Any]]]:
    """(place, values of the columns `names`) of each row from `start` on; an absent value is a DataError.

    Memory is that of one row group, however large the file.
    """
    first = 1
    try:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if first + rows > start.number:
                yield from _group_rows(path, file, group, first, start, names)
            first += rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: row {first} or a later one cannot be read ({error}); fetch the file anew") from None


def _group_rows(
    path: Path, file: pq.ParquetFile, group: int, first: int, start: Position, names: tuple[str, ...]
) -> Iterator[tuple[Position, list[Any]]]:
    number = first
    for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=list(names)):
        values = [batch.column(name).to_pylist() for name in names]
        for row in zip(*values, strict=True):
            if number >= start.number:
                if None in row:
                    absent = names[row.index(None)]
                    raise DataError(f"{path}:{number}: column {absent} is empty, expected a value")
                yield Position(number), list(row)
            number += 1


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


def scored(row: TrainingList) -> list[tuple[str, float]]:
    """A list's passages and the teacher's scores of them."""
    assert row.teacher_scores is not None
    return list(zip(row.passage_ids, row.teacher_scores.tolist(), strict=True))


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
