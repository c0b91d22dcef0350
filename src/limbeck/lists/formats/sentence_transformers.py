"""Hub sets of sentence-transformers in Parquet (sentence-transformers/msmarco and its like), told by their columns."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections import Collection
from limbeck.collections.text_files import Position
from limbeck.core.errors import DataError
from limbeck.core.files import atomic_write
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    Lost,
    RawList,
    as_id,
    as_number,
    by_teacher,
    column_names,
    dropped,
    one_list_a_query,
    parquet_rows,
    scored,
)
from limbeck.lists.lists import Lists

SHAPES = (
    ("query_id", "doc_ids", "labels"),  # labeled-list
    ("query_id", "doc_ids"),  # rankzephyr-colbert, rankgpt4-colbert
    ("query_id", "positive_id", "negative_id", "score"),  # bert-ensemble-margin-mse
    ("query_id", "positive_id", "negative_id"),  # triplets
    ("query_id", "passage_id", "score"),  # bert-ensemble-mse
    ("query_id", "corpus_id", "score"),  # msmarco-scores-*: `list`, or `pair` with one passage a row
)
_TUPLE = re.compile(r"query|positive|negative(_[0-9]+)?")  # triplet-ids, triplet-50-ids of msmarco-bm25 and its like


def read(path: Path, start: Position) -> Iterator[RawList]:
    """Lists as the columns tell.

    doc_ids and labels: a labelled list. doc_ids alone: best first, so an order. positive_id and negative_id: a list of
    two, whose score is the teacher's margin: teacher scores `score` and 0, of which only the difference has a meaning.
    passage_id (or corpus_id) and score: a list where both columns hold lists, else the rows of one query that follow
    each other, up to a passage that comes again.
    query, positive, negative or negative_1 to negative_N: ids, the first one the positive.
    """
    names = column_names(path)
    shape = next((shape for shape in SHAPES if set(shape) == set(names)), None)
    if shape in SHAPES[4:]:
        yield from _scored(path, start, shape)
    elif shape:
        make = _MAKE[shape]
        for place, (query_id, *values) in parquet_rows(path, start, shape):
            yield make(path, place, as_id(query_id, "query_id", path, place), values)
    elif names and all(map(_TUPLE.fullmatch, names)) and {"query", "positive"} < set(names):
        yield from _tuples(path, start, tuple(names))
    else:
        known = "; ".join(", ".join(shape) for shape in SHAPES)
        raise DataError(
            f"{path}: columns {', '.join(names)}; expected those of a set of sentence-transformers: {known}; "
            "or query, positive, negative"
        )


def _labelled(path: Path, place: Position, query_id: str, values: list[Any]) -> RawList:
    passages, labels = _ids(values[0], path, place), _list(values[1], "labels", path, place)
    if len(passages) != len(labels):
        raise DataError(f"{path}:{place.number}: {len(labels)} labels for {len(passages)} doc_ids; expected as many")
    return RawList(place, query_id, passages, labels=[as_number(label, "a label", path, place) for label in labels])


def _ordered(path: Path, place: Position, query_id: str, values: list[Any]) -> RawList:
    passages = _ids(values[0], path, place)
    order = np.arange(len(passages), 0, -1, dtype=float).tolist()
    return RawList(place, query_id, passages, teacher_order=order)


def _scored_list(path: Path, place: Position, query_id: str, values: list[Any]) -> RawList:
    passages, scores = _ids(values[0], path, place), _list(values[1], "score", path, place)
    if len(passages) != len(scores):
        raise DataError(f"{path}:{place.number}: {len(scores)} scores for {len(passages)} passages; expected as many")
    numbers = [as_number(score, "a score", path, place) for score in scores]
    return RawList(place, query_id, passages, teacher_scores=numbers)


def _triple(path: Path, place: Position, query_id: str, values: list[Any]) -> RawList:
    return RawList(place, query_id, _ids(values, path, place), labels=[1.0, 0.0])


def _margin(path: Path, place: Position, query_id: str, values: list[Any]) -> RawList:
    margin = as_number(values[2], "score", path, place)
    return RawList(place, query_id, _ids(values[:2], path, place), [1.0, 0.0], [margin, 0.0])


def _ids(values: Any, path: Path, place: Position) -> list[str]:
    return [as_id(value, "a passage", path, place) for value in _list(values, "doc_ids", path, place)]


def _list(value: Any, what: str, path: Path, place: Position) -> list[Any]:
    if not isinstance(value, list):
        raise DataError(f'{path}:{place.number}: {what} is "{value}", expected a list')
    return value


_MAKE: dict[tuple[str, ...], Callable[[Path, Position, str, list[Any]], RawList]] = dict(
    zip(SHAPES[:4], (_labelled, _ordered, _margin, _triple), strict=True)
)


def _scored(path: Path, start: Position, shape: tuple[str, ...]) -> Iterator[RawList]:
    rows = parquet_rows(path, start, shape)
    first_row = next(rows, None)
    if first_row is None:
        return
    rows = chain([first_row], rows)
    if isinstance(first_row[1][2], list):
        for place, (query, *values) in rows:
            yield _scored_list(path, place, as_id(query, "query_id", path, place), values)
        return
    for query_id, of_query in groupby(rows, key=lambda row: as_id(row[1][0], "query_id", path, row[0])):
        scores: dict[str, float] = {}
        first = start
        for place, (_, passage, score) in of_query:
            passage_id = as_id(passage, "passage_id", path, place)
            if passage_id in scores:
                yield RawList(first, query_id, list(scores), teacher_scores=list(scores.values()))
                scores = {}
            first = place if not scores else first
            scores[passage_id] = as_number(score, "score", path, place)
        yield RawList(first, query_id, list(scores), teacher_scores=list(scores.values()))


def _tuples(path: Path, start: Position, names: tuple[str, ...]) -> Iterator[RawList]:
    ordered = ("query", "positive", *(name for name in names if name.startswith("negative")))
    for place, values in parquet_rows(path, start, ordered):
        query_id, *passages = _ids(values, path, place)
        if not all(map(str.isdecimal, (query_id, *passages))):
            raise DataError(
                f'{path}:{place.number}: "{query_id}" or a passage is a text; expected ids: take the `-ids` set'
            )
        yield RawList(place, query_id, passages, labels=[1.0] + [0.0] * (len(passages) - 1))


def write(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """Columns as the lists' first signal tells: labels, else scores, else order. `datasets` loads them as they are.

    Labels give query_id, doc_ids and labels (as `labeled-list`); scores query_id, passage_id and score, a row for each
    passage (as `bert-ensemble-mse`); an order query_id and doc_ids, best first (as `rankzephyr-colbert`).
    """
    if lists.labels is not None:
        table, lost = _labelled_table(lists), dropped(lists, "labels")
    elif lists.teacher_scores is not None:
        table, lost = _scored_table(lists), dropped(lists, "teacher_scores", "teacher_order")
    else:
        lost = Counter()
        table = _ordered_table(lists, lost)
    with atomic_write(path) as file:
        pq.write_table(table, file)
    return lost


def _labelled_table(lists: Lists) -> pa.Table:
    assert lists.labels is not None
    labels = pa.array([values.tolist() for values in lists.labels], pa.list_(pa.float32()))
    flat = labels.flatten().to_numpy()
    if (flat == np.round(flat)).all():
        labels = labels.cast(pa.list_(pa.int64()))  # as published
    passages = [list(passages) for passages in lists.passage_ids]
    return pa.table({"query_id": list(lists.query_ids), "doc_ids": passages, "labels": labels})


def _scored_table(lists: Lists) -> pa.Table:
    rows = [(row.query_id, passage, score) for row in one_list_a_query(lists) for passage, score in scored(row)]
    return pa.table(dict(zip(SHAPES[4], map(list, zip(*rows, strict=True)), strict=True)))


def _ordered_table(lists: Lists, lost: Lost) -> pa.Table:
    rows = [lists[number] for number in range(len(lists))]
    passages = [[row.passage_ids[place] for place in by_teacher(row, lost)] for row in rows]
    return pa.table({"query_id": list(lists.query_ids), "doc_ids": passages})


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """The set of sentence-transformers/msmarco that carries the signals: an order, margins, or labelled lists."""
    columns: dict[str, list[Any]]
    if "teacher_scores" in signals and "teacher_order" not in signals:
        rows = [(of.query_id, *of.positive, *negative) for of in queries for negative in of.negatives[:3]]
        columns = {
            "query_id": [row[0] for row in rows],
            "positive_id": [row[1] for row in rows],
            "negative_id": [row[3] for row in rows],
            "score": [row[2] - row[4] for row in rows],
        }
    else:
        columns = {"query_id": [of.query_id for of in queries], "doc_ids": [of.passages for of in queries]}
        if "teacher_order" not in signals:
            columns["labels"] = [[int(passage in of.relevant) for passage in of.passages] for of in queries]
    with atomic_write(path) as file:
        pq.write_table(pa.table(columns), file)


FORMATS = {
    "sentence-transformers": Format(
        "Hub sets of sentence-transformers in Parquet, told by their columns", read, example, write=write
    )
}
