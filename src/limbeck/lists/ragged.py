"""Columns of lists, kept as Arrow arrays: published files have more lists than Python's objects have room for.

And whether columns make lists: as many values as passages, each passage once, finite numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from limbeck.collections.text_files import first_repeated
from limbeck.core.errors import DataError

Item = TypeVar("Item")

_AT_ONCE = 10_000


class Column(Sequence[Item], Generic[Item]):
    """One value per list, made when it is asked for."""

    checked = False
    """Whether its values have been looked at already; see `check_passages`."""

    def __init__(self, array: pa.ChunkedArray) -> None:
        self.array = array
        self._last: tuple[int, Item] | None = None

    def __len__(self) -> int:
        return len(self.array)

    def chunks(self) -> Iterator[pa.Array]:
        """Its values as Arrow keeps them, some thousand at once or all together."""
        yield from self.array.chunks

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        # Whoever reads a list reads each of its passages.
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        count = len(self)
        if not -count <= index < count:
            raise IndexError(index)
        self._last = (index, self._value(self._scalar(index)))
        return self._last[1]

    def __iter__(self) -> Iterator[Item]:
        for chunk in self.chunks():
            for first in range(0, len(chunk), _AT_ONCE):
                yield from self._values(chunk.slice(first, _AT_ONCE))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as Python has it for what is equal by value and may change

    def kept(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """An array that is derived from the whole column; a column on disk keeps it there under `name`."""
        return make()

    def _scalar(self, index: int) -> Any:
        return self.array[index]

    def _value(self, scalar: Any) -> Item:
        found: Item = scalar.as_py()
        return found

    def _values(self, chunk: pa.Array) -> Sequence[Item]:
        found: list[Item] = chunk.to_pylist()
        return found


class Strings(Column[str]):
    """A text per list."""

    @classmethod
    def of(cls, values: Sequence[str]) -> "Strings":
        """The column of some texts."""
        return values if isinstance(values, cls) else cls(pa.chunked_array([values], pa.string()))


class StringLists(Column[list[str]]):
    """Texts per list."""

    @classmethod
    def of(cls, values: Sequence[Sequence[str]]) -> "StringLists":
        """The column of some lists of texts."""
        return values if isinstance(values, cls) else cls(pa.chunked_array([values], pa.list_(pa.string())))


class NumberLists(Column[np.ndarray]):
    """Numbers per list, float32 [passages]."""

    @classmethod
    def of(cls, values: Sequence[np.ndarray]) -> "NumberLists":
        """The column of some arrays."""
        if isinstance(values, cls):
            return values
        offsets = np.concatenate([[0], np.cumsum([len(value) for value in values], dtype=np.int64)]).astype(np.int32)
        numbers = np.concatenate([np.empty(0, np.float32), *values]).astype(np.float32, copy=False)
        return cls(pa.chunked_array([pa.ListArray.from_arrays(offsets, numbers)]))

    def _value(self, scalar: Any) -> np.ndarray:
        found: np.ndarray = scalar.values.to_numpy()
        return found

    def _values(self, chunk: pa.Array) -> Sequence[np.ndarray]:
        return np.split(chunk.flatten().to_numpy(), np.cumsum(chunk.value_lengths().to_numpy())[:-1])


def joined(columns: Sequence[Column[Any]]) -> Column[Any]:
    """Columns of one kind, at least one, as one."""
    chunks = [chunk for column in columns for chunk in column.array.chunks]
    return type(columns[0])(pa.chunked_array(chunks, columns[0].array.type))


def chunk_lengths(column: Any) -> np.ndarray:
    """How many values each list of a column of lists has [lists]."""
    chunks = [chunk.value_lengths().to_numpy() for chunk in arrow(column).chunks]
    return np.concatenate([np.empty(0, np.int64), *chunks]).astype(np.int64)


def arrow(column: Any) -> pa.ChunkedArray:
    """A column as Arrow keeps it."""
    assert isinstance(column, Column)
    return column.array


def flat(column: Any) -> pa.ChunkedArray:
    """The values of all lists of a column of lists, one after the other."""
    array = arrow(column)
    return pa.chunked_array([chunk.flatten() for chunk in array.chunks], array.type.value_type)


_LISTS_AT_ONCE = 100_000


def check_passages(query_ids: Sequence[str], passage_ids: StringLists) -> None:
    """DataError, naming row and column, for a list without passages and for a passage twice in a list."""
    lengths = chunk_lengths(passage_ids)
    if (lengths == 0).any():
        row = int((lengths == 0).argmax())
        raise DataError(f"{place(row, query_ids, 'passage_ids')}: no passages, expected at least one")
    first = 0
    for chunk in passage_ids.array.chunks:
        for start in range(0, len(chunk), _LISTS_AT_ONCE):
            part = chunk.slice(start, _LISTS_AT_ONCE)
            # Two equal numbers within a list are one passage twice.
            codes = pc.dictionary_encode(part.flatten()).indices.to_numpy().astype(np.int64)
            owner = np.repeat(np.arange(len(part)), part.value_lengths().to_numpy())
            keys = np.sort(owner * (codes.max() + 1) + codes)
            twice = np.flatnonzero(keys[1:] == keys[:-1])
            if twice.size:
                row = first + start + int(keys[twice[0]] // (codes.max() + 1))
                passage = passage_ids[row][first_repeated(passage_ids[row]) or 0]
                where = place(row, query_ids, "passage_ids")
                raise DataError(f'{where}: passage "{passage}" occurs twice, expected each passage once')
        first += len(chunk)


def checked_signal(
    signal: str, values: Sequence[np.ndarray], query_ids: Sequence[str], passage_ids: StringLists
) -> NumberLists:
    """A signal as it is stored. DataError, naming row and column, for a wrong length and for numbers that cannot be."""
    if len(values) != len(query_ids):
        raise DataError(f"column {signal}: {len(values)} lists, expected one for each of {len(query_ids)} queries")
    column = values if isinstance(values, NumberLists) else _column(signal, values, query_ids, passage_ids)
    lengths = chunk_lengths(passage_ids)
    wrong = np.flatnonzero(chunk_lengths(column) != lengths)
    if wrong.size:
        row = int(wrong[0])
        raise _wrong_size(row, query_ids, signal, column[row], lengths[row])
    first = 0
    for chunk in column.array.chunks:
        numbers = chunk.flatten().to_numpy()
        bad = unfit(signal, numbers)
        if bad.any():
            position = int(bad.argmax())
            ends = np.cumsum(chunk.value_lengths().to_numpy())
            within = int(np.searchsorted(ends, position, side="right"))
            passage = passage_ids[first + within][position - int(ends[within] - lengths[first + within])]
            expected = "a finite number" if signal != "labels" else "a finite number ≥ 0"
            raise DataError(
                f"{place(first + within, query_ids, signal)}: {float(numbers[position])} for passage "
                f'"{passage}", expected {expected}'
            )
        first += len(chunk)
    return column


def unfit(signal: str, numbers: np.ndarray) -> np.ndarray:
    """Which numbers [n] a signal cannot hold: NaN, infinities, and of labels negative ones."""
    found: np.ndarray = ~np.isfinite(numbers)
    return found | (numbers < 0) if signal == "labels" else found


def place(row: int, query_ids: Sequence[str], column: str) -> str:
    """Where a value stands, as people count."""
    return f'row {row + 1} (query "{query_ids[row]}"), column {column}'


def _column(
    signal: str, values: Sequence[np.ndarray], query_ids: Sequence[str], passage_ids: StringLists
) -> NumberLists:
    arrays = []
    for row, (value, passages) in enumerate(zip(values, passage_ids, strict=True)):
        with np.errstate(over="ignore"):
            array = np.asarray(value, dtype=np.float32)
        if array.shape != (len(passages),):
            raise _wrong_size(row, query_ids, signal, array, len(passages))
        arrays.append(array)
    return NumberLists.of(arrays)


def _wrong_size(row: int, query_ids: Sequence[str], signal: str, array: np.ndarray, passages: int) -> DataError:
    size = f"{array.size} value{'s' * (array.size != 1)}" if array.ndim == 1 else f"an array of shape {array.shape}"
    return DataError(f"{place(row, query_ids, signal)}: {size}, expected one for each of {passages} passages")
