"""What readers have in common: lines of so many columns, or of JSON, and the ids and numbers in them."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections.lines import Position, finite_number, json_values, placed_lines
from limbeck.core.errors import DataError, MissingError


def columns(path: Path, start: Position, names: tuple[str, ...]) -> Iterator[tuple[Position, list[str]]]:
    """(place, tab-separated columns) of each line that is not blank; DataError for another number of columns."""
    for place, line in placed_lines(path, start):
        found = line.split("\t")
        if len(found) != len(names):
            if not line.strip():
                continue
            raise DataError(
                f"{path}:{place.number}: {len(found)} tab-separated columns; expected {len(names)}, `{' '.join(names)}`"
            )
        yield place, found


def json_lines(path: Path, start: Position, expected: str, kind: type = dict) -> Iterator[tuple[Position, Any]]:
    """(place, value) of each line that is not blank, or of each object in one array; see `json_values`."""
    return json_values(path, start, expected, kind)


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


_ROWS_AT_ONCE = 20_000


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
