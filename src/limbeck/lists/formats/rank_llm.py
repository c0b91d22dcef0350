"""rank_llm's JSON lines: an LLM's re-ranking, whose order is the signal; its scores only restate the position."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from limbeck.collections.lines import Place
from limbeck.errors import DataError
from limbeck.lists.formats.columns import as_id, json_lines
from limbeck.lists.formats.format import Format, Row

SHAPE = '{"query": {"qid": …, "text": …}, "candidates": [{"docid": …, "score": …, "doc": {…}}, …]}'


def read(path: Path, start: Place) -> Iterator[Row]:
    """One list a line, best first, with its order."""
    for place, value in json_lines(path, start, SHAPE):
        query, candidates = value.get("query"), value.get("candidates")
        if not isinstance(query, dict) or not isinstance(candidates, list) or not all(map(_is_candidate, candidates)):
            raise DataError(f"{path}:{place.number}: no query with qid or no candidates with docid; expected `{SHAPE}`")
        passages = [as_id(candidate["docid"], "docid", path, place) for candidate in candidates]
        order = np.arange(len(passages), 0, -1, dtype=float).tolist()
        yield Row(place, as_id(query.get("qid"), "qid", path, place), passages, teacher_order=order)


def _is_candidate(value: Any) -> bool:
    return isinstance(value, dict) and "docid" in value


FORMAT = Format(f"rank_llm's JSON lines `{SHAPE}`", read, one_list_a_query=True)
