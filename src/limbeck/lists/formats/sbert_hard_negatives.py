"""Hard negatives of sentence-transformers (msmarco-hard-negatives.jsonl.gz), with or without cross-encoder scores."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.errors import DataError
from limbeck.core.files import atomic_write
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    Lost,
    RawList,
    as_id,
    as_number,
    as_plain,
    by_label,
    dropped,
    json_lines,
    one_list_a_query,
    require,
    write_lines,
)
from limbeck.lists.lists import Lists, TrainingList

SHAPE = '{"qid": …, "pos": [{"pid": …, "ce-score": …}], "neg": {"SYSTEM": [{"pid": …, "ce-score": …}]}}'


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line: positives, then every system's negatives in the file's order, each passage once.

    A score stands with every passage, and is the teacher's, or with none, where ids stand alone.
    """
    for place, value in json_lines(path, start, SHAPE):
        negatives = value.get("neg")
        if not isinstance(value.get("pos"), list) or not isinstance(negatives, dict):
            raise DataError(f"{path}:{place.number}: no list `pos` or no mapping `neg`; expected `{SHAPE}`")
        grades: dict[str, float] = {}
        scores: dict[str, float] = {}
        for grade, passages in ((1.0, value["pos"]), *((0.0, found) for found in negatives.values())):
            if not isinstance(passages, list):
                raise DataError(f"{path}:{place.number}: a system's negatives are no list; expected `{SHAPE}`")
            for passage in passages:
                passage_id, score = _passage(passage, path, place)
                if grades.setdefault(passage_id, grade) == grade and score is not None:
                    scores.setdefault(passage_id, score)
        if scores and len(scores) < len(grades):
            raise DataError(f"{path}:{place.number}: some passages have a ce-score and some none; expected all or none")
        query_id = as_id(value.get("qid"), "qid", path, place)
        yield RawList(
            place, query_id, list(grades), list(grades.values()), [scores[p] for p in grades] if scores else None
        )


def _passage(value: Any, path: Path, place: Position) -> tuple[str, float | None]:
    if not isinstance(value, dict):
        return as_id(value, "a passage", path, place), None
    passage_id = as_id(value.get("pid"), "pid", path, place)
    return passage_id, as_number(value.get("ce-score"), "ce-score", path, place)


def write(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """A line for each list: its positives, then its negatives under the first stage's name, with any scores."""
    require(lists, "labels")
    lost = Counter(dropped(lists, "labels", "teacher_scores", *_implied(lists)))
    system = lists.metadata.get("run", "candidates")
    with atomic_write(path) as file:
        for row in one_list_a_query(lists):
            positives, negatives = by_label(row, lost)
            lost["lists whose positives do not come first"] += [*positives, *negatives] != list(range(len(row)))
            of_system = {system: [_entry(row, place) for place in negatives]}
            line = {"qid": row.query_id, "pos": [_entry(row, place) for place in positives], "neg": of_system}
            file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
    return lost


def _implied(lists: Lists) -> tuple[str, ...]:
    """The order is lost only where no scores tell it."""
    return ("teacher_order",) if lists.teacher_scores is not None else ()


def _entry(row: TrainingList, place: int) -> str | dict[str, str | float]:
    if row.teacher_scores is None:
        return row.passage_ids[place]
    return {"pid": row.passage_ids[place], "ce-score": float(row.teacher_scores[place])}


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""

    def passages(pairs: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
        return [{"pid": as_plain(passage), "ce-score": score} for passage, score in pairs]

    lines = (
        {
            "qid": as_plain(of.query_id),
            "pos": passages([of.positive]),
            "neg": {"bm25": passages(of.negatives[::2]), "msmarco-MiniLM-L-6-v3": passages(of.negatives[1::2])},
        }
        for of in queries
    )
    write_lines(path, (json.dumps(line, ensure_ascii=False) for line in lines))


FORMAT = Format(
    f"hard negatives of sentence-transformers, JSON lines `{SHAPE}`",
    read,
    example,
    md5={"msmarco-hard-negatives.jsonl.gz": "ecf8cafb10197fd7adf4f68aabd15d84"},
    one_list_a_query=True,
    write=write,
)
