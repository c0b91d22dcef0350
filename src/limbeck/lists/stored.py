"""Lists too large for memory, kept on disk in small batches: whoever trains on them reads only what is drawn.

A Parquet file is checked as a whole once, batch by batch, and written as an Arrow file into the user's cache. From then
on it is opened at once, whatever its size: 270 million triples take no memory but an index of 24 bytes for some
hundred of them. Batches are read, not mapped: pages that a mapping has touched would count as this process's memory.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from rich.console import Console

from limbeck.core.errors import DataError, LimbeckError
from limbeck.core.files import atomic_write, waited_lock, wrap_write_errors, write_json
from limbeck.core.json_files import Schema, key_of, read_json
from limbeck.core.progress import say, with_status
from limbeck.lists.lists import SIGNALS, Fingerprint, Lists
from limbeck.lists.parquet import (
    FINGERPRINT,
    check_fingerprint,
    lists_of_table,
    metadata_of,
    open_parquet,
    read_lists,
    table_of_lists,
)
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
