"""MS MARCO's training triples as texts (triples.train.small.tsv); ids are those of the collection with these texts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.lists.formats.format import ExampleQuery, Format, RawList, columns, write_lines


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list of two passages a line, labelled 1 and 0; texts stand where ids do elsewhere."""
    for place, (query, positive, negative) in columns(path, start, ("query", "positive", "negative")):
        yield RawList(place, query, [positive, negative], labels=[1.0, 0.0])


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    texts = (
        (collection.queries[of.query_id], collection.documents[of.positive[0]], collection.documents[negative])
        for of in queries
        for negative, _ in of.negatives[:3]
    )
    write_lines(path, map("\t".join, texts))


FORMAT = Format(
    "text triples `query positive negative`, as MS MARCO's triples.train.small.tsv",
    read,
    example,
    is_text=True,
    is_pairs=True,
)
