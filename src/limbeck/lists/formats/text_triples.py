"""MS MARCO's training triples as texts (triples.train.small.tsv); ids are those of the collection with these texts."""

from collections.abc import Iterator
from pathlib import Path

from limbeck.collections.lines import Position
from limbeck.lists.formats.format import Format, RawList
from limbeck.lists.formats.parsing import columns


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list of two passages a line, labelled 1 and 0; texts stand where ids do elsewhere."""
    for place, (query, positive, negative) in columns(path, start, ("query", "positive", "negative")):
        yield RawList(place, query, [positive, negative], labels=[1.0, 0.0])


FORMAT = Format("text triples `query positive negative`, as MS MARCO's triples.train.small.tsv", read, is_text=True)
