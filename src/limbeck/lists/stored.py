"""Lists on disk: read whole, or too large for memory and left there: who trains on them reads only what is drawn.

A large Parquet file is checked as a whole once, batch by batch, and written as an Arrow file into the user's cache.
From then on it is opened at once: 270 million triples take no memory but an index of 24 bytes for some hundred of them.
Batches are read, not mapped: pages that a mapping has touched would count as this process's memory.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from limbeck.core.errors import DataError, LimbeckError, MissingError, nearest
from limbeck.core.files import atomic_write, waited_lock, wrap_write_errors, write_json
from limbeck.core.json_files import Schema, key_of, read_json
from limbeck.core.progress import say, with_status
from limbeck.lists.lists import COLUMNS, FINGERPRINT, SIGNALS, Fingerprint, Lists, metadata_of, table_of_lists
from limbeck.lists.ragged import Column, NumberLists, StringLists, Strings
from limbeck.tokens.store import cache_folder

LARGE = 1 << 28
"""Bytes in memory from which on lists stay on disk: some four million triples."""
VALUE_BYTES = 12
"""Of an id or a number in memory, with what says where it ends."""
BATCH_BYTES = 1 << 16
READ_ROWS = 1 << 16
FORMAT = 1

_ABOUT: Schema = {"rows": int, "batch_rows": int, "fingerprint": str, "metadata": {...: str}}

Item = TypeVar("Item")


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
            raise DataError(f'no column "{name}" among {", ".join(schema.names)}; expected {", ".join(COLUMNS)}')
    for column in schema:
        if column.name not in COLUMNS:
            hint = nearest(column.name, COLUMNS)
            raise DataError(f'unknown column "{column.name}", expected {", ".join(COLUMNS)}{hint}')
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


class ListFile:
    """An Arrow file of lists, equally many in each batch but the last, beside a JSON file of what is known of them."""

    def __init__(self, path: Path) -> None:
        """Open it. LimbeckError, OSError or ArrowException where it is not there, or not as it was written."""
        self.path = path
        about = read_json(path.with_suffix(".json"), _ABOUT, "it is made anew")
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        self.names, self.metadata, self.fingerprint = self._reader.schema.names, about["metadata"], about["fingerprint"]
        self.rows, self.batch_rows = about["rows"], about["batch_rows"]
        self.batch = lru_cache(maxsize=4)(self._reader.get_batch)

    @property
    def batches(self) -> int:
        """How many there are."""
        return int(self._reader.num_record_batches)

    def kept(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """An array that was derived from all lists: made once, and kept beside the file."""
        place = self.path.with_name(f"{self.path.name}.{name}.npy")
        try:
            found: np.ndarray = np.load(place, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            found = make()
            with atomic_write(place) as stream:
                np.save(stream, found)
        return found


class _Stored(Column[Item]):
    """One value per list, read when it is asked for. Its values were checked when the file was written."""

    checked = True

    def __init__(self, file: ListFile, name: str) -> None:
        self.file, self.name = file, name
        self._last = None

    @property
    def array(self) -> pa.ChunkedArray:
        """All of it, in memory: for what concerns all lists at once."""
        return pa.chunked_array(list(self.chunks()))

    def chunks(self) -> Iterator[pa.Array]:
        """Batch by batch."""
        return (self.file.batch(number).column(self.name) for number in range(self.file.batches))

    def __len__(self) -> int:
        rows: int = self.file.rows
        return rows

    def kept(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        return self.file.kept(f"{self.name}.{name}", make)

    def _scalar(self, index: int) -> Any:
        batch, row = divmod(index % len(self), self.file.batch_rows)
        return self.file.batch(batch).column(self.name)[row]


class StoredStrings(_Stored[str], Strings):
    """Query ids on disk."""


class StoredStringLists(_Stored[list[str]], StringLists):
    """Passage ids on disk."""


class StoredNumberLists(_Stored[np.ndarray], NumberLists):
    """A signal on disk."""


def open_lists(path: str | Path) -> Lists:
    """Lists to train on: as `read_lists`, but large ones stay on disk, and their content is checked once only.

    Raises what `read_lists` raises, and MissingError where they cannot be written, as on a full disk.
    """
    source = Path(path)
    if not source.is_file() or not is_large(source):
        return read_lists(source)
    place = _place(source)
    found = _opened(place)
    if found is None:
        console = Console(stderr=True)

        def wait(holder: str) -> None:
            say(console, f"{source.name}: {holder}, prepares it; waiting")

        with (
            wrap_write_errors(place, "or LIMBECK_CACHE set to another place, try again"),
            waited_lock(place.with_name(f".{place.name}.lock"), wait),
        ):
            found = _opened(place)
            if found is None:
                _write(source, place, console)
                found = _opened(place)
    assert found is not None
    return found


def is_large(source: Path) -> bool:
    """Whether `open_lists` leaves the lists of a Parquet file on disk."""
    return unpacked_bytes(source) > LARGE


def unpacked_bytes(source: Path) -> int:
    """About how much memory the columns of a Parquet file would take, whose own figure is that of packed values."""
    metadata = open_parquet(source).metadata
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return VALUE_BYTES * sum(int(group.column(n).num_values) for group in groups for n in range(group.num_columns))


def _place(source: Path) -> Path:
    state = source.stat()
    promised = metadata_of(open_parquet(source).schema_arrow).get(FINGERPRINT) or str(source.resolve())
    key = key_of([FORMAT, promised, state.st_size, state.st_mtime_ns], 16)
    return cache_folder() / "lists" / f"{key}.arrow"


def _opened(place: Path) -> Lists | None:
    """The lists of a complete file, or None: it is not there, or not as it was written."""
    try:
        file = ListFile(place)
    except (LimbeckError, OSError, pa.ArrowException):
        return None
    lists = Lists(
        StoredStrings(file, "query_id"),
        StoredStringLists(file, "passage_ids"),
        metadata=file.metadata,
        **{signal: StoredNumberLists(file, signal) for signal in SIGNALS if signal in file.names},
    )
    lists.__dict__["fingerprint"] = file.fingerprint  # in the place of the cached property, which would read all of it
    return lists


def _write(source: Path, place: Path, console: Console) -> None:
    """Check a Parquet file batch by batch, and write its lists as an Arrow file."""
    parquet = open_parquet(source)
    total, metadata = parquet.metadata.num_rows, metadata_of(parquet.schema_arrow)
    promised = metadata.pop(FINGERPRINT, None)
    batch_rows = max(1, BATCH_BYTES * total // unpacked_bytes(source))
    fingerprint = Fingerprint()

    def tables() -> Iterator[pa.Table]:
        signals, done = None, 0
        for batch in with_status(
            parquet.iter_batches(batch_size=READ_ROWS),
            lambda number, _: f"{source.name}: {min(total, number * READ_ROWS):,} of {total:,} lists prepared",
            console,
            f"{source.name}: prepared for training, once",
        ):
            try:
                lists = lists_of_table(pa.Table.from_batches([batch]))
                signals = lists.signals if signals is None else signals
                if lists.signals != signals:
                    raise DataError("a signal is absent, expected it in all lists or in none")
            except DataError as error:
                raise DataError(f"{source}: in the {len(batch):,} lists behind row {done:,}: {error}") from None
            done += len(batch)
            yield table_of_lists(lists).combine_chunks()

    with atomic_write(place) as stream:
        writer: Any = None
        rest: pa.Table | None = None
        for table in tables():
            [whole] = table.to_batches()
            fingerprint.add(dict(zip(table.column_names, whole.columns, strict=True)))
            writer = writer or pa.ipc.new_file(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
            rest = table if rest is None else pa.concat_tables([rest, table]).combine_chunks()
            full = len(rest) // batch_rows * batch_rows
            for first in range(0, full, batch_rows):
                writer.write_table(rest.slice(first, batch_rows))
            rest = rest.slice(full)
        if rest:
            writer.write_table(rest)
        check_fingerprint(source, promised, str(fingerprint))
        writer.close()
    about = {"rows": total, "batch_rows": batch_rows, "fingerprint": str(fingerprint), "metadata": metadata}
    write_json(place.with_suffix(".json"), about)
