"""MS MARCO's training triples of ids, and every other file of query, positive and negative."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.lists.formats.format import ExampleQuery, Format, RawList, columns, write_lines

COLUMNS = ("query_id", "positive_id", "negative_id")


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list of two passages a line, labelled 1 and 0."""
    for place, (query_id, positive, negative) in columns(path, start, COLUMNS):
        yield RawList(place, query_id, [positive, negative], labels=[1.0, 0.0])


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    pairs = ((of, negative) for of in queries for negative, _ in of.negatives[:3])
    write_lines(path, (f"{of.query_id}\t{of.positive[0]}\t{negative}" for of, negative in pairs))


FORMAT = Format(
    "id triples `query_id positive_id negative_id`, as MS MARCO's qidpidtriples",
    read,
    example,
    is_pairs=True,
    md5={"qidpidtriples.train.full.2.tsv.gz": "4e58f45f82f3fe99e3239ecffd8ed371"},
)
