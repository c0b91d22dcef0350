"""Hub sets of sentence-transformers in Parquet (sentence-transformers/msmarco and its like), told by their columns."""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.collections.lines import Place
from limbeck.errors import DataError
from limbeck.lists.formats.format import Format, Row
from limbeck.lists.formats.parquet import column_names, parquet_rows

SHAPES = (
    ("query_id", "doc_ids", "labels"),  # labeled-list
    ("query_id", "doc_ids"),  # rankzephyr-colbert, rankgpt4-colbert
    ("query_id", "positive_id", "negative_id", "score"),  # bert-ensemble-margin-mse
    ("query_id", "positive_id", "negative_id"),  # triplets
    ("query_id", "passage_id", "score"),  # bert-ensemble-mse
)
_TUPLE = re.compile(r"query|positive|negative(_[0-9]+)?")  # triplet-ids, triplet-50-ids of msmarco-bm25 and its like


def read(path: Path, start: Place) -> Iterator[Row]:
    """Lists as the columns tell.

    doc_ids and labels: a labelled list. doc_ids alone: best first, so an order. positive_id and negative_id: a list of
    two, whose score is the teacher's margin: teacher scores `score` and 0, of which only the difference has a meaning.
    passage_id and score: rows of one query that follow each other are one list, up to a passage that comes again.
    query, positive, negative or negative_1 to negative_N: ids, the first one the positive.
    """
    names = column_names(path)
    shape = next((shape for shape in SHAPES if set(shape) == set(names)), None)
    if shape == ("query_id", "passage_id", "score"):
        yield from _scored(path, start, shape)
    elif shape:
        make = _MAKE[shape]
        for place, (query_id, *values) in parquet_rows(path, start, shape):
            yield make(path, place, str(query_id), values)
    elif names and all(map(_TUPLE.fullmatch, names)) and {"query", "positive"} < set(names):
        yield from _tuples(path, start, tuple(names))
    else:
        known = "; ".join(", ".join(shape) for shape in SHAPES)
        raise DataError(
            f"{path}: columns {', '.join(names)}; expected those of a set of sentence-transformers: {known}; "
            "or query, positive, negative"
        )


def _labelled(path: Path, place: Place, query_id: str, values: list[Any]) -> Row:
    passages, labels = values
    if len(passages) != len(labels):
        raise DataError(
            f"{path}: row {place.number}: {len(labels)} labels for {len(passages)} doc_ids; expected as many"
        )
    return Row(place, query_id, list(map(str, passages)), labels=list(map(float, labels)))


def _ordered(path: Path, place: Place, query_id: str, values: list[Any]) -> Row:
    order = np.arange(len(values[0]), 0, -1, dtype=float).tolist()
    return Row(place, query_id, list(map(str, values[0])), teacher_order=order)


def _triple(path: Path, place: Place, query_id: str, values: list[Any]) -> Row:
    return Row(place, query_id, [str(values[0]), str(values[1])], labels=[1.0, 0.0])


def _margin(path: Path, place: Place, query_id: str, values: list[Any]) -> Row:
    return Row(place, query_id, [str(values[0]), str(values[1])], [1.0, 0.0], [float(values[2]), 0.0])


_MAKE: dict[tuple[str, ...], Callable[[Path, Place, str, list[Any]], Row]] = dict(
    zip(SHAPES[:4], (_labelled, _ordered, _margin, _triple), strict=True)
)


def _scored(path: Path, start: Place, shape: tuple[str, ...]) -> Iterator[Row]:
    rows = parquet_rows(path, start, shape)
    for query_id, of_query in groupby(rows, key=lambda row: str(row[1][0])):
        scores: dict[str, float] = {}
        first = start
        for place, (_, passage, score) in of_query:
            if str(passage) in scores:
                yield Row(first, query_id, list(scores), teacher_scores=list(scores.values()))
                scores = {}
            first = place if not scores else first
            scores[str(passage)] = float(score)
        yield Row(first, query_id, list(scores), teacher_scores=list(scores.values()))


def _tuples(path: Path, start: Place, names: tuple[str, ...]) -> Iterator[Row]:
    ordered = ("query", "positive", *(name for name in names if name.startswith("negative")))
    for place, (query, *passages) in parquet_rows(path, start, ordered):
        if not all(isinstance(value, int) or value.isdecimal() for value in (query, *passages)):
            raise DataError(
                f'{path}: row {place.number}: "{query}" or a passage is a text; expected ids: take the `-ids` set'
            )
        labels = [1.0] + [0.0] * (len(passages) - 1)
        yield Row(place, str(query), list(map(str, passages)), labels=labels)


FORMAT = Format("Hub sets of sentence-transformers in Parquet, told by their columns", read)
