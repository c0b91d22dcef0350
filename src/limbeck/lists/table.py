"""Rows of a published file as one Arrow table, checked as a whole."""

from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from limbeck.core.errors import DataError
from limbeck.lists.checks import unfit
from limbeck.lists.formats import RawList
from limbeck.lists.lists import SIGNALS

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
        if len(set(row.passage_ids)) < len(row.passage_ids):
            twice = next(p for n, p in enumerate(row.passage_ids) if p in row.passage_ids[:n])
            raise _error(path, row, f'passage "{twice}" occurs twice in a list, expected each passage once')
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
