"""FlagEmbedding's JSON lines for re-rankers; ids are those of the collection with these texts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limbeck.collections.lines import Place
from limbeck.errors import DataError
from limbeck.lists.formats.columns import json_lines, json_number
from limbeck.lists.formats.format import Format, Row

SHAPE = '{"query": …, "pos": [TEXT, …], "neg": [TEXT, …], "pos_scores": [SCORE, …], "neg_scores": [SCORE, …]}'


def read(path: Path, start: Place) -> Iterator[Row]:
    """One list a line: positives, then negatives; teacher scores where both kinds have them. A text counts once."""
    for place, value in json_lines(path, start, SHAPE):
        positives, negatives = (_texts(value, key, path, place) for key in ("pos", "neg"))
        texts = [*positives, *negatives]
        if not isinstance(value.get("query"), str):
            raise DataError(f"{path}:{place.number}: no query; expected `{SHAPE}`")
        first = {text: position for position, text in reversed(list(enumerate(texts)))}
        places = sorted(first.values())
        labels = [1.0] * len(positives) + [0.0] * len(negatives)
        scores = None
        if value.get("pos_scores") is not None and value.get("neg_scores") is not None:
            kinds = (value["pos_scores"], value["neg_scores"])
            given = [score for scores_of_kind in kinds if isinstance(scores_of_kind, list) for score in scores_of_kind]
            if len(given) != len(texts):
                raise DataError(
                    f"{path}:{place.number}: {len(given)} scores for {len(texts)} texts; expected one for each"
                )
            scores = [json_number(given[number], "a score", path, place) for number in places]
        yield Row(
            place, value["query"], [texts[number] for number in places], [labels[number] for number in places], scores
        )


def _texts(value: dict[str, Any], key: str, path: Path, place: Place) -> list[str]:
    texts = value.get(key)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{path}:{place.number}: `{key}` is no list of texts; expected `{SHAPE}`")
    return texts


FORMAT = Format(f"FlagEmbedding's JSON lines `{SHAPE}`", read, is_text=True)
