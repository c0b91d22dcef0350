"""rank_llm's JSON lines: an LLM's re-ranking, whose order is the signal; its scores only restate the position."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.errors import DataError, UsageError
from limbeck.core.files import atomic_write
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    Lost,
    RawList,
    as_id,
    by_teacher,
    dropped,
    json_lines,
    one_list_a_query,
    require,
    write_lines,
)
from limbeck.lists.lists import Lists

SHAPE = '{"query": {"qid": …, "text": …}, "candidates": [{"docid": …, "score": …, "doc": {…}}, …]}'


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list a line, best first, with its order."""
    for place, value in json_lines(path, start, SHAPE):
        query, candidates = value.get("query"), value.get("candidates")
        if not isinstance(query, dict) or not isinstance(candidates, list) or not all(map(_is_candidate, candidates)):
            raise DataError(f"{path}:{place.number}: no query with qid or no candidates with docid; expected `{SHAPE}`")
        passages = [as_id(candidate["docid"], "docid", path, place) for candidate in candidates]
        order = np.arange(len(passages), 0, -1, dtype=float).tolist()
        yield RawList(place, as_id(query.get("qid"), "qid", path, place), passages, teacher_order=order)


def _is_candidate(value: Any) -> bool:
    return isinstance(value, dict) and "docid" in value


def write(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """A line for each list, with the texts of query and passages; the score restates the place, as rank_llm's does."""
    if collection is None:
        raise UsageError("rank-llm holds texts beside ids; name the collection that they are of: --collection")
    require(lists, "teacher_order")
    lost = Counter(dropped(lists, "teacher_order"))
    with atomic_write(path) as file:
        for row in one_list_a_query(lists):
            places = by_teacher(row, lost)
            candidates = [
                {
                    "docid": row.passage_ids[place],
                    "score": len(places) - number,
                    "doc": {"contents": _text(collection, "documents", row.passage_ids[place])},
                }
                for number, place in enumerate(places)
            ]
            query = {"text": _text(collection, "queries", row.query_id), "qid": row.query_id}
            line = {"query": query, "candidates": candidates, "invocations_history": []}
            file.write((json.dumps(line, ensure_ascii=False) + "\n").encode())
    return lost


def _text(collection: Collection, kind: str, text_id: str) -> str:
    texts = collection.queries if kind == "queries" else collection.documents
    if text_id not in texts:
        raise DataError(f'"{text_id}" is not among the {kind} of {collection.name}; name the collection of the lists')
    return texts[text_id]


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    lines = (
        {
            "query": {"text": collection.queries[of.query_id], "qid": of.query_id},
            "candidates": [
                {"docid": docid, "score": 1 / number, "doc": {"segment": collection.documents[docid]}}
                for number, docid in enumerate(of.passages, 1)
            ],
        }
        for of in queries
    )
    write_lines(path, (json.dumps(line, ensure_ascii=False) for line in lines))


FORMAT = Format(
    f"rank_llm's JSON lines `{SHAPE}`", read, example, one_list_a_query=True, write=write, writes_texts=True
)
