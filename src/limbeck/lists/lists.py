"""Lists: queries, their passages in the candidate ranking's order, and the signals of each passage.

They are written as Parquet of ids and signals, text stays in the collection: query_id string, passage_ids
list<string>, and any of labels, teacher_scores, teacher_order list<float>; the file's key-value metadata holds the
lists' metadata and their fingerprint.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from limbeck.core.errors import DataError, MissingError, UsageError, html_table, plural
from limbeck.core.files import atomic_write
from limbeck.lists.ragged import (
    Column,
    StringLists,
    Strings,
    arrow,
    check_passages,
    checked_signal,
    chunk_lengths,
    flat,
    joined,
)

SHOWN_LISTS, SHOWN_PASSAGES = 3, 4  # of lists in a notebook
SIGNALS = ("labels", "teacher_scores", "teacher_order")
COLUMNS = ("query_id", "passage_ids", *SIGNALS)
FINGERPRINT = "fingerprint"
"""In the metadata of a file: what stands for ids and signals."""
_ROWS_PER_GROUP = 10_000
# Written by other tools for their own use; not part of the lists' metadata.
_FOREIGN_METADATA = frozenset({"ARROW:schema", "pandas", "huggingface"})
TEXTS_KEY = "texts_fingerprint"
"""In the metadata: what stands for the texts that the ids of the lists mean, `Collection.texts_fingerprint`."""


@dataclass(frozen=True, eq=False)
class TrainingList:
    """One query, its passages (rank 1 first) and their signals: float32 [passages], or None where there are none."""

    query_id: str
    passage_ids: list[str]
    labels: np.ndarray | None = None
    teacher_scores: np.ndarray | None = None
    teacher_order: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.passage_ids)


@dataclass(frozen=True, eq=False)
class Lists:
    """Ragged training lists in columns.

    query_ids       one per list; a query may have several lists (published triples do)
    passage_ids     per list, in the candidate ranking's order: rank 1 first
    labels          grades ≥ 0 of the passages, or None
    teacher_scores  a teacher's scores, any range, or None
    teacher_order   a teacher's order, higher is better, or None
    metadata        where the lists come from (collection, run, teacher, counts of what was left out)

    Signals are kept as float32, as they are stored. Lists are equal when ids and signals are; metadata does not count.

    DataError, naming row and column: a list without passages, a passage twice in a list, a signal of another length
    than its list, NaN, an infinity, a negative label.
    """

    query_ids: Sequence[str]
    passage_ids: Sequence[Sequence[str]]
    labels: Sequence[np.ndarray] | None = None
    teacher_scores: Sequence[np.ndarray] | None = None
    teacher_order: Sequence[np.ndarray] | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.passage_ids) != len(self.query_ids):
            expected = f"expected one for each of {len(self.query_ids)} queries"
            raise DataError(f"column passage_ids: {len(self.passage_ids)} lists, {expected}")
        passages = StringLists.of(self.passage_ids)
        object.__setattr__(self, "query_ids", Strings.of(self.query_ids))
        object.__setattr__(self, "passage_ids", passages)
        if passages.checked:
            return
        check_passages(self.query_ids, passages)
        for signal in SIGNALS:
            values = getattr(self, signal)
            if values is not None:
                object.__setattr__(self, signal, checked_signal(signal, values, self.query_ids, passages))

    def __len__(self) -> int:
        return len(self.query_ids)

    def __repr__(self) -> str:
        passages = len(flat(self.passage_ids))
        return f"Lists({plural(len(self), 'list')}, {plural(passages, 'passage')}, {_named(self.signals)})"

    def _repr_html_(self) -> str:
        signals = sorted(self.signals)
        rows = []
        for number in range(min(len(self), SHOWN_LISTS)):
            one = self[number]
            for place, docid in list(enumerate(one.passage_ids))[:SHOWN_PASSAGES]:
                values = [f"{getattr(one, name)[place]:g}" for name in signals]
                rows.append([one.query_id if place == 0 else "", docid, *values])
        return html_table(["query", "passage", *signals], rows, f"{self!r}: the first {SHOWN_LISTS} lists")

    def __eq__(self, other: object) -> bool:
        return self.fingerprint == other.fingerprint if isinstance(other, Lists) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __getitem__(self, index: int) -> TrainingList:
        signals = {name: values[index] for name in SIGNALS if (values := self.values(name)) is not None}
        return TrainingList(self.query_ids[index], list(self.passage_ids[index]), **signals)

    def values(self, signal: str) -> Sequence[np.ndarray] | None:
        """The column of a signal named as in `SIGNALS`."""
        return {
            "labels": self.labels,
            "teacher_scores": self.teacher_scores,
            "teacher_order": self.teacher_order,
        }[signal]

    @property
    def signals(self) -> frozenset[str]:
        """The names of the signals that every list carries."""
        return frozenset(name for name in SIGNALS if self.values(name) is not None)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over ids and signals; see `Fingerprint`."""
        found = Fingerprint()
        names = ("query_id", "passage_ids", *SIGNALS)
        values = (self.query_ids, self.passage_ids, *map(self.values, SIGNALS))
        for name, column in zip(names, values, strict=True):
            if isinstance(column, Column):
                for chunk in column.chunks():
                    found.add({name: chunk})
        return str(found)


def concatenate(parts: Sequence[Lists]) -> Lists:
    """All lists of all parts, in order, for instance of several collections.

    Ids stay as they are, so a query id that two parts share is a DataError. Passage ids may recur: parts of one
    collection share them. Whoever joins the texts of several collections must see to it that an id has one text.
    Parts must carry the same signals. Metadata that differs between the parts is joined with ` + `.
    """
    if not parts:
        raise DataError("no lists to concatenate: expected at least one part")
    part_of_query: dict[str, int] = {}
    for number, part in enumerate(parts):
        if part.signals != parts[0].signals:
            raise DataError(
                f"lists of {_origin(parts[0], 0)} carry {_named(parts[0].signals)}, lists of {_origin(part, number)} "
                f"{_named(part.signals)}: expected the same signals; make both in the same way"
            )
        for query_id in part.query_ids:
            earlier = part_of_query.setdefault(query_id, number)
            if earlier != number:
                raise DataError(
                    f'query "{query_id}" is in the lists of {_origin(parts[earlier], earlier)} and of '
                    f"{_origin(part, number)}: expected each query in one part only; leave it out of one, or rename it"
                )
    names = ("query_ids", "passage_ids", *parts[0].signals)
    columns = {name: joined([getattr(part, name) for part in parts]) for name in names}
    return Lists(**columns, metadata=joined_metadata([part.metadata for part in parts]))


def joined_metadata(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The metadata of lists that are put together; values that differ are joined with ` + `."""
    keys = dict.fromkeys(key for part in parts for key in part)
    joined = {}
    for key in keys:
        values = [part.get(key, "-") for part in parts]
        joined[key] = values[0] if len(set(values)) == 1 else " + ".join(values)
    return joined


def _origin(part: Lists, number: int) -> str:
    return part.metadata.get("collection", f"part {number + 1}")


def _named(signals: frozenset[str]) -> str:
    return ", ".join(sorted(signals)) or "no signal"


class Fingerprint:
    """sha256 over ids and signals of lists, in their order. Metadata cannot change an outcome and is left out."""

    def __init__(self) -> None:
        self._streams: dict[str, hashlib._Hash] = {}

    def add(self, columns: Mapping[str, pa.Array]) -> None:
        """Lists that follow those before: `query_id`, `passage_ids` and signals, as they are stored."""
        for name, column in columns.items():
            self._add(name, column)

    def _add(self, name: str, column: pa.Array) -> None:
        if pa.types.is_list(column.type):
            self._update(f"{name} lengths", column.value_lengths().cast(pa.int32()))
            self._add(f"{name} values", column.flatten())
        elif pa.types.is_string(column.type):
            # Lengths and bytes each in a stream of its own: no text can pass for the end of another.
            self._update(f"{name} bytes", pa.compute.binary_length(column).cast(pa.int32()))
            offsets = memoryview(column.buffers()[1]).cast("i")
            first, last = offsets[column.offset], offsets[column.offset + len(column)]
            self._stream(f"{name} text").update(memoryview(column.buffers()[2] or b"")[first:last])
        else:
            self._update(name, column.cast(pa.float32()))

    def _update(self, stream: str, numbers: pa.Array) -> None:
        values = numbers.to_numpy()
        self._stream(stream).update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())

    def _stream(self, name: str) -> "hashlib._Hash":
        return self._streams.setdefault(name, hashlib.sha256())

    def __str__(self) -> str:
        """16 hex digits."""
        lines = [f"{name} {digest.hexdigest()}\n" for name, digest in sorted(self._streams.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


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


def table_of_lists(lists: Lists) -> pa.Table:
    """Lists as an Arrow table of their columns."""
    values = (lists.query_ids, lists.passage_ids, *map(lists.values, SIGNALS))
    return pa.table(
        {name: column.array for name, column in zip(COLUMNS, values, strict=True) if isinstance(column, Column)}
    )


def metadata_of(schema: pa.Schema) -> dict[str, str]:
    """The metadata of lists in a file, their fingerprint included."""
    found = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    return {key: value for key, value in found.items() if key not in _FOREIGN_METADATA}


def describe(lists: Lists) -> dict[str, Any]:
    """Counts, lengths, signals and metadata as plain JSON-able values.

    lists, queries, passages (all places) and distinct_passages; passages_per_list as min / median / max;
    with_positive: the share of lists with a label above 0 (None without labels); signals: per signal its smallest and
    largest value, mean and number of distinct values; metadata; fingerprint.
    """
    queries, passages = arrow(lists.query_ids), flat(lists.passage_ids)
    lengths = chunk_lengths(lists.passage_ids)
    return {
        "lists": len(lists),
        "queries": pc.count_distinct(queries).as_py(),
        "passages": len(passages),
        "distinct_passages": pc.count_distinct(passages).as_py(),
        "passages_per_list": _lengths(lengths),
        "with_positive": _share_with_positive(lists, lengths),
        "signals": {
            name: _range(flat(values)) for name in SIGNALS if len(lists) and (values := lists.values(name)) is not None
        },
        "metadata": dict(lists.metadata),
        "fingerprint": lists.fingerprint,
    }


def _lengths(lengths: np.ndarray) -> dict[str, float] | None:
    if not lengths.size:
        return None
    return {"min": int(lengths.min()), "median": float(np.median(lengths)), "max": int(lengths.max())}


def _share_with_positive(lists: Lists, lengths: np.ndarray) -> float | None:
    if lists.labels is None or not len(lists):
        return None
    positive = flat(lists.labels).to_numpy() > 0
    return float(np.add.reduceat(positive, np.cumsum(lengths) - lengths).astype(bool).mean())


def _range(numbers: pa.ChunkedArray) -> dict[str, float]:
    least, most = pc.min_max(numbers).as_py().values()
    mean = pc.mean(numbers.cast(pa.float64())).as_py()
    return {"min": least, "mean": mean, "max": most, "distinct": pc.count_distinct(numbers).as_py()}
