"""Scored pairs of texts in Parquet, as cross-encoder/ettin-reranker-v1-data; ids are those of the texts' collection."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections import Collection
from limbeck.collections.text_files import Position
from limbeck.core.errors import DataError, UsageError
from limbeck.core.files import atomic_write
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    Lost,
    RawList,
    as_number,
    column_names,
    dropped,
    parquet_rows,
    require,
    scored,
)
from limbeck.lists.lists import Lists

DOCUMENT, SCORE = ("document", "passage"), ("score", "label")
"""Names of the columns beside `query`, as published sets have them; the first ones are written."""


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list of the rows of a query that follow each other, with the teacher's scores; other columns are not read."""
    names = column_names(path)
    document, score = (next((name for name in known if name in names), None) for known in (DOCUMENT, SCORE))
    if "query" not in names or document is None or score is None:
        raise DataError(
            f"{path}: columns {', '.join(names)}; expected query, {' or '.join(DOCUMENT)}, and {' or '.join(SCORE)}"
        )
    rows = parquet_rows(path, start, ("query", document, score))
    for query, of_query in groupby(rows, key=lambda row: _text(row[1][0], "query", path, row[0])):
        places, documents, scores = [], [], []
        for place, (_, text, value) in of_query:
            places.append(place)
            documents.append(_text(text, document, path, place))
            scores.append(as_number(value, score, path, place))
        yield RawList(places[0], query, documents, teacher_scores=scores)


def _text(value: object, what: str, path: Path, place: Position) -> str:
    if not isinstance(value, str):
        raise DataError(f"{path}:{place.number}: {what} is {value!r}, expected a text")
    return value


def write(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """A row for each passage. UsageError for lists without teacher scores or without their collection."""
    require(lists, "teacher_scores")
    if collection is None:
        raise UsageError("scored pairs hold texts; name the collection of the lists")
    rows = [
        (collection.queries[row.query_id], collection.documents[passage], score)
        for row in (lists[number] for number in range(len(lists)))
        for passage, score in scored(row)
    ]
    _write_rows(path, rows)
    # The order is that of the scores.
    return dropped(lists, "teacher_scores", "teacher_order")


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    rows = [
        (collection.queries[of.query_id], collection.documents[passage], score)
        for of in queries
        for passage, score in of.scored
    ]
    _write_rows(path, rows)


def _write_rows(path: Path, rows: Sequence[tuple[str, str, float]]) -> None:
    columns = dict(zip(("query", DOCUMENT[0], SCORE[0]), map(list, zip(*rows, strict=True)), strict=True))
    with atomic_write(path) as file:
        pq.write_table(pa.table(columns), file)


FORMATS = {
    "scored-pairs": Format(
        "scored pairs `query document score` as texts, in Parquet",
        read,
        example,
        is_text=True,
        write=write,
        writes_texts=True,
    )
}
