"""Lists on disk: Parquet of ids and signals. Text stays in the collection.

query_id string, passage_ids list<string>, and any of labels, teacher_scores, teacher_order list<float>; the file's
key-value metadata holds the lists' metadata and their fingerprint.
"""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.errors import DataError, MissingError, UsageError, nearest
from limbeck.core.files import atomic_write
from limbeck.lists.lists import SIGNALS, Lists
from limbeck.lists.ragged import Column, NumberLists, StringLists, Strings

_COLUMNS = ("query_id", "passage_ids", *SIGNALS)
_FINGERPRINT = "fingerprint"
# Written by other tools for their own use; not part of the lists' metadata.
_FOREIGN_METADATA = frozenset({"ARROW:schema", "pandas", "huggingface"})
_ROWS_PER_GROUP = 10_000


def write_lists(lists: Lists, path: str | os.PathLike[str]) -> None:
    """Write lists to `path`, whole or not at all. MissingError or UsageError where that cannot be done."""
    target = Path(path)
    check_target(target)
    with atomic_write(target) as file:
        pq.write_table(_to_table(lists), file, row_group_size=_ROWS_PER_GROUP, compression="zstd")


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
    if not source.is_file():
        raise MissingError(f"{source}: no such file; make one with `limbeck lists convert` or `limbeck teach`")
    try:
        table = pq.read_table(source)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{source}: cannot be read as Parquet ({error}); expected training lists") from error
    try:
        return _from_table(table)
    except DataError as error:
        raise DataError(f"{source}: {error}") from None


def _to_table(lists: Lists) -> pa.Table:
    values = (lists.query_ids, lists.passage_ids, *map(lists.values, SIGNALS))
    columns = {name: column.array for name, column in zip(_COLUMNS, values, strict=True) if isinstance(column, Column)}
    metadata = {**lists.metadata, _FINGERPRINT: lists.fingerprint}
    return pa.table(columns).replace_schema_metadata(metadata)


def _from_table(table: pa.Table) -> Lists:
    _check_columns(table.schema)
    metadata = {
        key.decode(): value.decode()
        for key, value in (table.schema.metadata or {}).items()
        if key.decode() not in _FOREIGN_METADATA
    }
    promised = metadata.pop(_FINGERPRINT, None)
    lists = Lists(
        _strings(table["query_id"]),
        _string_lists(table["passage_ids"]),
        metadata=metadata,
        **{signal: _number_lists(table[signal], signal) for signal in SIGNALS if signal in table.column_names},
    )
    if promised not in (None, lists.fingerprint):
        raise DataError(
            f"metadata {_FINGERPRINT} is {promised}, the content's is {lists.fingerprint}: expected them equal; "
            "the lists were changed after they were written, write them again with `write_lists`"
        )
    return lists


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
