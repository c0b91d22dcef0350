"""What readers of Parquet files have in common: rows from a place on, with the file's columns checked first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections.lines import Place
from limbeck.errors import DataError, MissingError

_ROWS_AT_ONCE = 20_000


def column_names(path: Path) -> list[str]:
    """A Parquet file's columns. MissingError for no file, DataError for one that is no Parquet."""
    if not path.is_file():
        raise MissingError(f"{path}: no such file")
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}); fetch it anew") from None


def parquet_rows(path: Path, start: Place, names: tuple[str, ...]) -> Iterator[tuple[Place, list[Any]]]:
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
    path: Path, file: pq.ParquetFile, group: int, first: int, start: Place, names: tuple[str, ...]
) -> Iterator[tuple[Place, list[Any]]]:
    number = first
    for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=list(names)):
        values = [batch.column(name).to_pylist() for name in names]
        for row in zip(*values, strict=True):
            if number >= start.number:
                if None in row:
                    absent = names[row.index(None)]
                    raise DataError(f"{path}:{number}: column {absent} is empty, expected a value")
                yield Place(number), list(row)
            number += 1
