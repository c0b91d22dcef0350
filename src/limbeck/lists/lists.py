"""Lists: queries, their passages in the candidate ranking's order, and the signals of each passage."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from limbeck.errors import DataError

SIGNALS = ("labels", "teacher_scores", "teacher_order")


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

    query_ids: list[str]
    passage_ids: list[list[str]]
    labels: list[np.ndarray] | None = None
    teacher_scores: list[np.ndarray] | None = None
    teacher_order: list[np.ndarray] | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_passages(self.query_ids, self.passage_ids)
        for signal in SIGNALS:
            values = getattr(self, signal)
            if values is not None:
                object.__setattr__(self, signal, _checked_signal(signal, values, self.query_ids, self.passage_ids))

    def __len__(self) -> int:
        return len(self.query_ids)

    def __eq__(self, other: object) -> bool:
        return self.fingerprint == other.fingerprint if isinstance(other, Lists) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __getitem__(self, index: int) -> TrainingList:
        signals = {name: values[index] for name in SIGNALS if (values := self.values(name)) is not None}
        return TrainingList(self.query_ids[index], self.passage_ids[index], **signals)

    def values(self, signal: str) -> list[np.ndarray] | None:
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
        """sha256 (16 hex digits) over ids and signals. Metadata cannot change an outcome and is left out."""
        digest = hashlib.sha256()
        for signal in sorted(self.signals):
            digest.update(signal.encode() + b"\x00")
        columns = [values for name in SIGNALS if (values := self.values(name)) is not None]
        for index, (query_id, passage_ids) in enumerate(zip(self.query_ids, self.passage_ids, strict=True)):
            for text in (query_id, *passage_ids):
                encoded = text.encode()
                digest.update(len(encoded).to_bytes(4, "little") + encoded)
            digest.update(b"\xff\xff\xff\xff")
            for values in columns:
                digest.update(values[index].astype("<f4").tobytes())
        return digest.hexdigest()[:16]


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
    columns = {
        signal: [values for part in parts for values in part.values(signal) or []] for signal in parts[0].signals
    }
    return Lists(
        [query_id for part in parts for query_id in part.query_ids],
        [passage_ids for part in parts for passage_ids in part.passage_ids],
        metadata=_joined_metadata([part.metadata for part in parts]),
        **columns,
    )


def _joined_metadata(parts: Sequence[Mapping[str, str]]) -> dict[str, str]:
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


def _check_passages(query_ids: Sequence[str], passage_ids: Sequence[Sequence[str]]) -> None:
    if len(passage_ids) != len(query_ids):
        raise DataError(
            f"column passage_ids: {len(passage_ids)} lists, expected one for each of {len(query_ids)} queries"
        )
    for row, passages in enumerate(passage_ids):
        if not passages:
            raise DataError(f"{_place(row, query_ids, 'passage_ids')}: no passages, expected at least one")
        if len(set(passages)) < len(passages):
            seen: set[str] = set()
            twice = next(passage for passage in passages if passage in seen or seen.add(passage))  # type: ignore[func-returns-value]
            raise DataError(
                f'{_place(row, query_ids, "passage_ids")}: passage "{twice}" occurs twice, expected each passage once'
            )


def _checked_signal(
    signal: str, values: Sequence[np.ndarray], query_ids: Sequence[str], passage_ids: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    if len(values) != len(query_ids):
        raise DataError(f"column {signal}: {len(values)} lists, expected one for each of {len(query_ids)} queries")
    checked = []
    for row, (value, passages) in enumerate(zip(values, passage_ids, strict=True)):
        with np.errstate(over="ignore"):
            array = np.asarray(value, dtype=np.float32)
        if array.shape != (len(passages),):
            raise DataError(
                f"{_place(row, query_ids, signal)}: {_size(array)}, expected one for each of {len(passages)} passages"
            )
        bad = ~np.isfinite(array) if signal != "labels" else ~(np.isfinite(array) & (array >= 0))
        if bad.any():
            position = int(bad.argmax())
            expected = "a finite number" if signal != "labels" else "a finite number ≥ 0"
            raise DataError(
                f'{_place(row, query_ids, signal)}: {float(array[position])} for passage "{passages[position]}", '
                f"expected {expected}"
            )
        checked.append(array)
    return checked


def _size(array: np.ndarray) -> str:
    return f"{array.size} value{'s' * (array.size != 1)}" if array.ndim == 1 else f"an array of shape {array.shape}"


def _place(row: int, query_ids: Sequence[str], column: str) -> str:
    return f'row {row + 1} (query "{query_ids[row]}"), column {column}'
