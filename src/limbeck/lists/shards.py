"""Rows checked and written part by part, so that a long conversion goes on where it was stopped, in little memory."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from limbeck.collections.text_files import START, Position, first_repeated
from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import atomic_write, locked, write_json
from limbeck.core.json_files import Schema, read_json
from limbeck.lists.formats import RawList
from limbeck.lists.lists import SIGNALS, Fingerprint
from limbeck.lists.ragged import unfit


@dataclass
class Shards:
    """The parts of one conversion in a folder beside its output, and how far it has come.

    Attributes:
        job: what the parts are of: another job begins anew.
        next: where the source goes on after the last part; None: it has ended.
        count, lists, counts: parts and lists written, and what was left out so far.
    """

    folder: Path
    job: dict[str, Any]
    next: Position | None = START
    count: int = 0
    lists: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def write(self, table: pa.Table, following: Position | None, counts: Mapping[str, int]) -> None:
        """One part more, whole or not at all; the source goes on at `following`."""
        with atomic_write(self._part(self.count)) as file:
            pq.write_table(table, file, compression="zstd")
        self.next, self.count, self.lists = following, self.count + 1, self.lists + len(table)
        self.counts = dict(counts)
        state = {name: getattr(self, name) for name in ("job", "next", "count", "lists", "counts")}
        write_json(self.folder / "state.json", state)

    def query_ids(self) -> Iterator[str]:
        """The queries of all lists so far."""
        for number in range(self.count):
            yield from pq.read_table(self._part(number), columns=["query_id"])["query_id"].to_pylist()

    def join(self, output: Path, metadata: Mapping[str, str]) -> None:
        """All parts as one file of lists, whole or not at all; the parts are gone then."""
        fingerprint = Fingerprint()
        for number in range(self.count):
            table = self._read(number)
            fingerprint.add({name: table[name].chunk(0) for name in table.column_names})
        described = {**metadata, "fingerprint": str(fingerprint)}
        schema = pq.read_schema(self._part(0)).with_metadata(described)
        with atomic_write(output) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for number in range(self.count):
                table = self._read(number)
                writer.write_table(table.replace_schema_metadata(described), row_group_size=len(table))
        shutil.rmtree(self.folder)

    def _read(self, number: int) -> pa.Table:
        return pq.read_table(self._part(number)).combine_chunks()

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06}.parquet"


@contextmanager
def open_parts(output: Path, job: Mapping[str, Any]) -> Iterator[Shards]:
    """The parts of a conversion into `output`: those of an interrupted one of the same `job`, or none.

    UsageError while another process is at it.
    """
    folder = output.with_name(f".{output.name}.parts")
    with locked(folder / "lock", leased=True) as mine:
        if not mine:
            raise UsageError(f"{output}: another process is writing it; wait for it, or name another file")
        parts = _found(folder, dict(job))
        try:
            yield parts
        finally:
            if not parts.count:
                shutil.rmtree(folder)


_STATE: Schema = {"job": dict, "next": (None, [int]), "count": int, "lists": int, "counts": {...: int}}


def _found(folder: Path, job: dict[str, Any]) -> Shards:
    try:
        state = read_json(folder / "state.json", _STATE, "it is made anew")
    except (MissingError, DataError):
        return Shards(folder, job)
    if state["job"] != job:
        return Shards(folder, job)
    following = state["next"] and Position(*state["next"])
    return Shards(folder, job, following, state["count"], state["lists"], state["counts"])


_UNFIT_IN_ID = r"^$|[\s\p{Z}\x{00}-\x{1f}\x{7f}-\x{9f}\x{feff}]"


def signals_of(row: RawList) -> tuple[str, ...]:
    """The signals that a row carries, in the order of `SIGNALS`."""
    return tuple(name for name in SIGNALS if getattr(row, name) is not None)


def table_of(path: Path, rows: list[RawList], has: tuple[str, ...], kept: tuple[str, ...]) -> pa.Table:
    """Columns `query_id`, `passage_ids` and the signals to be `kept`, as lists are stored; the file `has` perhaps more.

    DataError (`path:line: …`) for an id that is empty or holds whitespace, a passage twice in a list, a signal that
    only some lists have, is not finite or, of labels, negative.
    """
    for signal in set(SIGNALS) - {*has, *kept}:
        extra = next((row for row in rows if getattr(row, signal) is not None), None)
        if extra is not None:
            raise _error(path, extra, f"has {signal}, which the first list has not; expected them in all or in none")
    for row in rows:
        if (twice := first_repeated(row.passage_ids)) is not None:
            raise _error(
                path, row, f'passage "{row.passage_ids[twice]}" occurs twice in a list, expected each passage once'
            )
    lengths = np.array([len(row.passage_ids) for row in rows])
    offsets = pa.array(np.concatenate([[0], lengths.cumsum()]), pa.int32())
    owner = np.repeat(np.arange(len(rows)), lengths)
    queries = pa.array([row.query_id for row in rows], pa.string())
    passages = pa.array(list(chain.from_iterable(row.passage_ids for row in rows)), pa.string())
    _check_ids(path, rows, queries, np.arange(len(rows)))
    _check_ids(path, rows, passages, owner)
    columns = {"query_id": queries, "passage_ids": pa.ListArray.from_arrays(offsets, passages)}
    for signal in kept:
        values = _values(path, rows, signal, lengths, owner)
        columns[signal] = pa.ListArray.from_arrays(offsets, pa.array(values))
    return pa.table(columns)


def _check_ids(path: Path, rows: list[RawList], ids: pa.Array, owner: np.ndarray) -> None:
    unfit = pc.match_substring_regex(ids, _UNFIT_IN_ID)
    if pc.any(unfit).as_py():
        place = pc.index(unfit, True).as_py()
        text = ids[place].as_py()
        raise _error(
            path,
            rows[owner[place]],
            f"the id {text!r} is empty, or holds whitespace or a control character; expected an id of one word",
        )


def _values(path: Path, rows: list[RawList], signal: str, lengths: np.ndarray, owner: np.ndarray) -> np.ndarray:
    for row in rows:
        if getattr(row, signal) is None:
            raise _error(path, row, f"no {signal}, which the first list has; expected them in all or in none")
    with np.errstate(over="ignore"):
        values = np.fromiter(chain.from_iterable(getattr(row, signal) for row in rows), np.float32, lengths.sum())
    bad = unfit(signal, values)
    if bad.any():
        place = int(bad.argmax())
        expected = "a finite number ≥ 0" if signal == "labels" else "a finite number that fits 32 bits"
        raise _error(path, rows[owner[place]], f"{signal} holds {values[place]}, expected {expected}")
    return values


def _error(path: Path, row: RawList, text: str) -> DataError:
    return DataError(f'{path}:{row.place.number}: query "{row.query_id[:80]}": {text}')
