"""TREC runs, plain or gzipped: a teacher's re-ranking, or a first stage's candidates."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.errors import DataError
from limbeck.lists.formats.format import (
    ExampleQuery,
    Format,
    Lost,
    RawList,
    by_teacher,
    dropped,
    one_list_a_query,
    require,
    write_lines,
)
from limbeck.lists.lists import Lists
from limbeck.runs import Run, rank, write_run
from limbeck.runs.run import candidate_lines

ORDER = frozenset({"teacher_order"})


def read(path: Path, start: Position) -> Iterator[RawList]:
    """One list a query, whose lines stand together: passages by score and the tie rule, scores, and order."""
    for query_id, lines in groupby(candidate_lines(path, start), key=lambda line: line[1]):
        yield ranked(path, query_id, [(place, docid, score) for place, _, docid, score, _ in lines])


def ranked(path: Path, query_id: str, candidates: list[tuple[Position, str, float]]) -> RawList:
    """The list of one query's candidates (place, docid, score), in any order."""
    place = candidates[0][0]
    docids = [docid for _, docid, _ in candidates]
    if len(set(docids)) < len(docids):
        twice = next(number for number, docid in enumerate(docids) if docid in docids[:number])
        raise DataError(
            f'{path}:{candidates[twice][0].number}: document "{docids[twice]}" is ranked a second time for query '
            f'"{query_id}"; keep one of its lines'
        )
    try:
        ranking = rank(docids, [score for _, _, score in candidates])
    except DataError as error:
        raise DataError(f"{path}:{place.number}: query {query_id}: {error}") from None
    order = np.arange(len(docids), 0, -1, dtype=float).tolist()
    return RawList(place, query_id, list(ranking.docids), None, ranking.scores.tolist(), order)


def write(lists: Lists, path: Path, collection: Collection | None) -> Lost:
    """A run of the teacher's ranking: its scores, or places from the end where it gave an order alone."""
    require(lists, "teacher_order")
    lost = Counter(dropped(lists, "teacher_order", "teacher_scores"))
    scores = {}
    for row in one_list_a_query(lists):
        places = by_teacher(row, lost)
        values = range(len(row), 0, -1) if row.teacher_scores is None else row.teacher_scores[places].tolist()
        scores[row.query_id] = dict(zip((row.passage_ids[place] for place in places), values, strict=True))
    write_run(Run.from_scores(path.name, scores), path)
    return lost


def example(queries: Sequence[ExampleQuery], collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Such a file, as it is published."""
    lines = (
        f"{of.query_id} Q0 {docid} {number} {score} example"
        for of in queries
        for number, (docid, score) in enumerate(of.scored, 1)
    )
    write_lines(path, lines)


FORMAT = Format(
    "TREC runs `qid Q0 docid rank score tag`", read, example, keep=ORDER, one_list_a_query=True, write=write
)
