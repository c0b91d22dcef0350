"""ColBERTv2's 64-way tuples (Santhanam et al. 2022), huggingface.co/colbert-ir/colbertv2.0_msmarco_64way."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.errors import DataError
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    RawList,
    as_id,
    as_number,
    as_plain,
    json_lines,
    write_lines,
)

SHAPE = "[qid, [pid, score], [pid, score], …]"


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line: the first passage is the positive, scores are a cross-encoder's."""
    for place, value in json_lines(path, start, SHAPE, list):
        query_id, pairs = value[0] if value else None, value[1:]
        if not pairs or any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
            raise DataError(f"{path}:{place.number}: not pairs of passage and score; expected `{SHAPE}`")
        yield RawList(
            place,
            as_id(query_id, "the query", path, place),
            [as_id(passage, "a passage", path, place) for passage, _ in pairs],
            labels=[1.0] + [0.0] * (len(pairs) - 1),
            teacher_scores=[as_number(score, "a score", path, place) for _, score in pairs],
        )


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    lines = (
        [as_plain(of.query_id), *([as_plain(passage), score] for passage, score in (of.positive, *of.negatives))]
        for of in queries
    )
    write_lines(path, map(json.dumps, lines))


FORMAT = Format(
    f"ColBERTv2's 64-way tuples, JSON lines `{SHAPE}`",
    read,
    example,
    md5={"examples.json": "8be0c71e330ac54dcd77fba058d291c7"},
)
