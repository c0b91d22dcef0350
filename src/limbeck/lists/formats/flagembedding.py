"""FlagEmbedding's JSON lines for re-rankers; ids are those of the collection with these texts."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.errors import DataError
from limbeck.lists.formats.format import ExampleQuery, Format, RawList, as_number, json_lines, write_lines

SHAPE = '{"query": …, "pos": [TEXT, …], "neg": [TEXT, …], "pos_scores": [SCORE, …], "neg_scores": [SCORE, …]}'


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line: positives, then negatives; teacher scores where both kinds have them."""
    for place, value in json_lines(path, start, SHAPE):
        positives, negatives = (_texts(value, key, path, place) for key in ("pos", "neg"))
        if not isinstance(value.get("query"), str):
            raise DataError(f"{path}:{place.number}: no query; expected `{SHAPE}`")
        scores = None
        if value.get("pos_scores") is not None and value.get("neg_scores") is not None:
            scores = _scores(value, "pos_scores", positives, path, place)
            scores += _scores(value, "neg_scores", negatives, path, place)
        labels = [1.0] * len(positives) + [0.0] * len(negatives)
        yield RawList(place, value["query"], [*positives, *negatives], labels, scores)


def _texts(value: dict[str, Any], key: str, path: Path, place: Position) -> list[str]:
    texts = value.get(key)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{path}:{place.number}: `{key}` is no list of texts; expected `{SHAPE}`")
    return texts


def _scores(value: dict[str, Any], key: str, texts: list[str], path: Path, place: Position) -> list[float]:
    scores = value[key]
    if not isinstance(scores, list) or len(scores) != len(texts):
        raise DataError(f"{path}:{place.number}: `{key}` is no list of {len(texts)} scores, one for each text")
    return [as_number(score, "a score", path, place) for score in scores]


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    lines = (
        {
            "query": collection.queries[of.query_id],
            **{kind: [collection.documents[passage] for passage, _ in pairs] for kind, pairs in _kinds(of)},
            **{f"{kind}_scores": [score for _, score in pairs] for kind, pairs in _kinds(of)},
        }
        for of in queries
    )
    write_lines(path, (json.dumps(line, ensure_ascii=False) for line in lines))


def _kinds(of: ExampleQuery) -> list[tuple[str, list[tuple[str, float]]]]:
    return [("pos", [of.positive]), ("neg", of.negatives)]


FORMAT = Format(f"FlagEmbedding's JSON lines `{SHAPE}`", read, example, is_text=True)
