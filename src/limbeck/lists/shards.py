"""Lists written part by part, so that a long conversion goes on where it was stopped and needs little memory."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections.lines import START, Position
from limbeck.core.errors import UsageError
from limbeck.core.files import atomic_write, locked, write_json
from limbeck.lists.lists import Fingerprint


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
    with locked(folder / "lock") as mine:
        if not mine:
            raise UsageError(f"{output}: another process is writing it; wait for it, or name another file")
        parts = _found(folder, dict(job))
        try:
            yield parts
        finally:
            if not parts.count:
                shutil.rmtree(folder)


def _found(folder: Path, job: dict[str, Any]) -> Shards:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return Shards(folder, job)
    if state.pop("job") != job:
        return Shards(folder, job)
    following = state.pop("next")
    return Shards(folder, job, following and Position(*following), **state)
