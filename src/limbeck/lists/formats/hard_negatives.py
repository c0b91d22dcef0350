"""A query's positives and its hard negatives, a list on each line of JSON.

sbert-hard-negatives  of sentence-transformers (msmarco-hard-negatives.jsonl.gz), with or without scores
flagembedding         FlagEmbedding's for re-rankers, of texts; ids are those of the collection with these texts
colbertv2             64-way tuples (Santhanam et al. 2022), huggingface.co/colbert-ir/colbertv2.0_msmarco_64way
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from limbeck.collections import Collection
from limbeck.collections.text_files import Position, json_values
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
    one_list_a_query,
    require,
    write_lines,
)
from limbeck.lists.lists import Lists, TrainingList

SBERT = '{"qid": …, "pos": [{"pid": …, "ce-score": …}], "neg": {"SYSTEM": [{"pid": …, "ce-score": …}]}}'
FLAGEMBEDDING = '{"query": …, "pos": [TEXT, …], "neg": [TEXT, …], "pos_scores": [SCORE, …], "neg_scores": [SCORE, …]}'
COLBERTV2 = "[qid, [pid, score], [pid, score], …]"


def read_sbert(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line: positives, then every system's negatives in the file's order, each passage once.

    A score stands with every passage, and is the teacher's, or with none, where ids stand alone.
    """
    for place, value in json_values(path, start, SBERT):
        negatives = value.get("neg")
        if not isinstance(value.get("pos"), list) or not isinstance(negatives, dict):
            raise DataError(f"{path}:{place.number}: no list `pos` or no mapping `neg`; expected `{SBERT}`")
        grades: dict[str, float] = {}
        scores: dict[str, float] = {}
        for grade, passages in ((1.0, value["pos"]), *((0.0, found) for found in negatives.values())):
            if not isinstance(passages, list):
                raise DataError(f"{path}:{place.number}: a system's negatives are no list; expected `{SBERT}`")
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


def write_sbert(lists: Lists, path: Path, collection: Collection | None) -> Lost:
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


def example_of_sbert(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
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


def read_flagembedding(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line: positives, then negatives; teacher scores where both kinds have them."""
    for place, value in json_values(path, start, FLAGEMBEDDING):
        positives, negatives = (_texts(value, key, path, place) for key in ("pos", "neg"))
        if not isinstance(value.get("query"), str):
            raise DataError(f"{path}:{place.number}: no query; expected `{FLAGEMBEDDING}`")
        scores = None
        if value.get("pos_scores") is not None and value.get("neg_scores") is not None:
            scores = _scores(value, "pos_scores", positives, path, place)
            scores += _scores(value, "neg_scores", negatives, path, place)
        labels = [1.0] * len(positives) + [0.0] * len(negatives)
        yield RawList(place, value["query"], [*positives, *negatives], labels, scores)


def _texts(value: dict[str, Any], key: str, path: Path, place: Position) -> list[str]:
    texts = value.get(key)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{path}:{place.number}: `{key}` is no list of texts; expected `{FLAGEMBEDDING}`")
    return texts


def _scores(value: dict[str, Any], key: str, texts: list[str], path: Path, place: Position) -> list[float]:
    scores = value[key]
    if not isinstance(scores, list) or len(scores) != len(texts):
        raise DataError(f"{path}:{place.number}: `{key}` is no list of {len(texts)} scores, one for each text")
    return [as_number(score, "a score", path, place) for score in scores]


def example_of_flagembedding(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
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


def read_colbertv2(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line: the first passage is the positive, scores are a cross-encoder's."""
    for place, value in json_values(path, start, COLBERTV2, list):
        query_id, pairs = value[0] if value else None, value[1:]
        if not pairs or any(not isinstance(pair, list) or len(pair) != 2 for pair in pairs):
            raise DataError(f"{path}:{place.number}: not pairs of passage and score; expected `{COLBERTV2}`")
        yield RawList(
            place,
            as_id(query_id, "the query", path, place),
            [as_id(passage, "a passage", path, place) for passage, _ in pairs],
            labels=[1.0] + [0.0] * (len(pairs) - 1),
            teacher_scores=[as_number(score, "a score", path, place) for _, score in pairs],
        )


def example_of_colbertv2(
    queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path
) -> None:
    """Such a file, as it is published."""
    lines = (
        [as_plain(of.query_id), *([as_plain(passage), score] for passage, score in (of.positive, *of.negatives))]
        for of in queries
    )
    write_lines(path, map(json.dumps, lines))


FORMATS = {
    "sbert-hard-negatives": Format(
        f"hard negatives of sentence-transformers, JSON lines `{SBERT}`",
        read_sbert,
        example_of_sbert,
        md5={"msmarco-hard-negatives.jsonl.gz": "ecf8cafb10197fd7adf4f68aabd15d84"},
        one_list_a_query=True,
        write=write_sbert,
    ),
    "flagembedding": Format(
        f"FlagEmbedding's JSON lines `{FLAGEMBEDDING}`", read_flagembedding, example_of_flagembedding, is_text=True
    ),
    "colbertv2": Format(
        f"ColBERTv2's 64-way tuples, JSON lines `{COLBERTV2}`",
        read_colbertv2,
        example_of_colbertv2,
        md5={"examples.json": "8be0c71e330ac54dcd77fba058d291c7"},
    ),
}
