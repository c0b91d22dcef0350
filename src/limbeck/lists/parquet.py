"""Lists on disk: Parquet of ids and signals. Text stays in the collection.

query_id string, passage_ids list<string>, and any of labels, teacher_scores, teacher_order list<float>; the file's
key-value metadata holds the lists' metadata and their fingerprint.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.errors import DataError, MissingError, UsageError, nearest
from limbeck.core.files import atomic_write
from limbeck.lists.lists import SIGNALS, Lists
from limbeck.lists.ragged import Column, NumberLists, StringLists, Strings

_COLUMNS = ("query_id", "passage_ids", *SIGNALS)
FINGERPRINT = "fingerprint"
# Written by other tools for their own use; not part of the lists' metadata.
_FOREIGN_METADATA = frozenset({"ARROW:schema", "pandas", "huggingface"})
_ROWS_PER_GROUP = 10_000


def write_lists(lists: Lists, path: str | os.PathLike[str]) -> None:
    """Write lists to `path`, whole or not at all. MissingError or UsageError where that cannot be done."""
    target = Path(path)
    check_target(target)
    with atomic_write(target) as file:
        pq.write_table(
            table_of_lists(lists).replace_schema_metadata({**lists.metadata, FINGERPRINT: lists.fingerprint}),
            file,
            row_group_size=_ROWS_PER_GROUP,
            compression="zstd",
        )


def check_target(path: Path) -> None:
    """Raise MissingError or UsageError where no lists can be written."""
    if not path.parent.is_dir():
        raise MissingError(f"{path}: its folder {path.parent} is not there; create it first")
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, expected a file name such as {path / 'lists.parquet'}")


def read_lists(path: str | os.PathLike[str]) -> Lists:
    """Read what `write_lists` wrote, or a file of the same columns from elsewhere.

    MissingError where there is no file; DataError names file, column, row and what was expected: for a file that is no
    Parquet, missing or unknown columns, wrong types, absent values, whatever `Lists` refuses, and a fingerprint in the
    metadata that the content no longer has.
    """
    source = Path(path)
    try:
        with wrap_read_errors(source):
            table = open_parquet(source).read()
        lists = lists_of_table(table)
    except DataError as error:
        raise DataError(f"{source}: {error}" if str(source) not in str(error) else str(error)) from None
    check_fingerprint(source, metadata_of(table.schema).get(FINGERPRINT), lists.fingerprint)
    return lists


def open_parquet(source: Path) -> pq.ParquetFile:
    """A Parquet file, of which only the index is read. MissingError or DataError where it is none."""
    if not source.is_file():
        raise MissingError(f"{source}: no such file; make one with `limbeck lists convert` or `limbeck teach`")
    with wrap_read_errors(source):
        return pq.ParquetFile(source)


def describe_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What the footer of a file of lists tells without reading them: lists, passages, signals (min, max), metadata."""
    file = open_parquet(Path(path))
    footer = file.metadata
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    passages, ranges = 0, {}
    for number in range(footer.num_columns):
        column = footer.schema.column(number).path.split(".")[0]
        chunks = [group.column(number) for group in groups]
        if column == "passage_ids":
            passages = sum(chunk.num_values for chunk in chunks)
        elif column in SIGNALS:
            found = [chunk.statistics for chunk in chunks]
            ranges[column] = {"min": min(each.min for each in found) + 0.0, "max": max(each.max for each in found)}
    metadata = metadata_of(file.schema_arrow)
    fingerprint = metadata.pop(FINGERPRINT, None)
    return {
        "lists": footer.num_rows,
        "passages": passages,
        "signals": ranges,
        "metadata": metadata,
        "fingerprint": fingerprint,
    }


def metadata_of(schema: pa.Schema) -> dict[str, str]:
    """The metadata of lists in a file, their fingerprint included."""
    found = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    return {key: value for key, value in found.items() if key not in _FOREIGN_METADATA}


def check_fingerprint(source: Path, promised: str | None, found: str) -> None:
    """DataError where a file's metadata promise another content than was found."""
    if promised not in (None, found):
        raise DataError(
            f"{source}: metadata {FINGERPRINT} is {promised}, the content's is {found}: expected them equal; "
            "the lists were changed after they were written, write them again with `write_lists`"
        )


@contextmanager
def wrap_read_errors(source: Path) -> Iterator[None]:
    """Turn what Arrow raises about a file into one error that names it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source}: cannot be read as Parquet ({error}); expected training lists") from error


def table_of_lists(lists: Lists) -> pa.Table:
    """Lists as an Arrow table of their columns."""
    values = (lists.query_ids, lists.passage_ids, *map(lists.values, SIGNALS))
    return pa.table(
        {name: column.array for name, column in zip(_COLUMNS, values, strict=True) if isinstance(column, Column)}
    )


def lists_of_table(table: pa.Table) -> Lists:
    """The lists of a table. DataError, naming row and column, for whatever they cannot be."""
    _check_columns(table.schema)
    return Lists(
        _strings(table["query_id"]),
        _string_lists(table["passage_ids"]),
        metadata={key: value for key, value in metadata_of(table.schema).items() if key != FINGERPRINT},
        **{signal: _number_lists(table[signal], signal) for signal in SIGNALS if signal in table.column_names},
    )


def _check_columns(schema: pa.Schema) -> None:
    for name in ("query_id", "passage_ids"):
        if name not in schema.names:
            raise DataError(f'no column "{name}" among {", ".join(schema.names)}; expected {", ".join(_COLUMNS)}')
    for column in schema:
        if column.name not in _COLUMNS:
            hint = nearest(column.name, _COLUMNS)
            raise DataError(f'unknown column "{column.name}", expected {", ".join(_COLUMNS)}{hint}')
        if schema.names.count(column.name) > 1:
            raise DataError(f'column "{column.name}" occurs twice, expected once')
        expected = {"query_id": "string", "passage_ids": "list<string>"}.get(column.name, "list<float>")
        if not _has_type(column.type, expected):
            raise DataError(f"column {column.name}: type {column.type}, expected {expected}")


def _has_type(found: pa.DataType, expected: str) -> bool:
    if expected == "string":
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    if not (pa.types.is_list(found) or pa.types.is_large_list(found)):
        return False
    if expected == "list<string>":
        return _has_type(found.value_type, "string")
    return bool(pa.types.is_floating(found.value_type) or pa.types.is_integer(found.value_type))


def _strings(column: pa.ChunkedArray) -> Strings:
    if column.null_count:
        raise DataError(f"row {_first_absent(column) + 1}, column query_id: empty, expected a query id")
    return Strings(column.cast(pa.string()))


def _string_lists(column: pa.ChunkedArray) -> StringLists:
    if column.null_count or any(chunk.flatten().null_count for chunk in column.chunks):
        row = _first_absent(column)
        raise DataError(f"row {row + 1}, column passage_ids: an id is absent, expected a list of passage ids")
    return StringLists(column.cast(pa.list_(pa.string())))


def _number_lists(column: pa.ChunkedArray, signal: str) -> NumberLists | None:
    if len(column) and column.null_count == len(column):
        return None
    if column.null_count or any(chunk.flatten().null_count for chunk in column.chunks):
        row = _first_absent(column)
        raise DataError(f"row {row + 1}, column {signal}: a value is absent, expected a number for every passage")
    return NumberLists(column.cast(pa.list_(pa.float32())))


def _first_absent(column: pa.ChunkedArray) -> int:
    values = (entry.as_py() for entry in column)
    return next(
        row for row, value in enumerate(values) if value is None or (not isinstance(value, str) and None in value)
    )
