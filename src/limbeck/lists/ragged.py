"""Columns of lists, kept as Arrow arrays: published files have more lists than Python's objects have room for."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pyarrow as pa

Item = TypeVar("Item")

_AT_ONCE = 10_000


class Column(Sequence[Item], Generic[Item]):
    """One value per list, made when it is asked for."""

    checked = False
    """Whether its values have been looked at already; see `limbeck.lists.checks`."""

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
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        # Whoever reads a list reads each of its passages.
        if self._last is None or self._last[0] != index:
            self._last = (index, self._value(self._scalar(index)))
        return self._last[1]

    def __iter__(self) -> Iterator[Item]:
        for chunk in self.chunks():
            for first in range(0, len(chunk), _AT_ONCE):
                yield from self._values(chunk.slice(first, _AT_ONCE))

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

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


def chunk_lengths(column: Column[Any]) -> np.ndarray:
    """How many values each list of a column of lists has [lists]."""
    chunks = [chunk.value_lengths().to_numpy() for chunk in column.array.chunks]
    return np.concatenate([np.empty(0, np.int64), *chunks]).astype(np.int64)


def arrow(column: Any) -> pa.ChunkedArray:
    """A column as Arrow keeps it."""
    assert isinstance(column, Column)
    return column.array


def flat(column: Any) -> pa.ChunkedArray:
    """The values of all lists of a column of lists, one after the other."""
    array = arrow(column)
    return pa.chunked_array([chunk.flatten() for chunk in array.chunks], array.type.value_type)
