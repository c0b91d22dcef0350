"""Whether columns make lists: as many values as passages, each passage once, finite numbers."""

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from limbeck.core.errors import DataError
from limbeck.lists.ragged import NumberLists, StringLists, chunk_lengths

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
                seen: set[str] = set()
                passage = next(p for p in passage_ids[row] if p in seen or seen.add(p))  # type: ignore[func-returns-value]
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
