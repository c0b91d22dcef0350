"""Lists whose signals come from a stronger model: its scores, its order, or its grades."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.lists.candidates import lists_from_run
from limbeck.lists.lists import SIGNALS, Lists
from limbeck.lists.signals import average_ranks, teacher_order_from_scores, with_teacher_scores
from limbeck.runs import Ranking, Run, rank


def candidates_to_teach(collection: Collection, run: Run, depth: int | None = None) -> tuple[Lists, Run]:
    """The lists that a teacher is to fill, with labels where there are any, and the part of `run` that they hold.

    Raises what `lists_from_run` raises.
    """
    candidates = lists_from_run(
        collection, run, depth, labels=bool(collection.qrels), order=False, add_missing_positives=False
    )
    return candidates, _run_of(candidates, run)


def candidates_to_mine(collection: Collection, run: Run, depth: int | None = None) -> tuple[Lists, Run]:
    """As `candidates_to_teach`, and judged positives that the run lacks are added, for a teacher to score them too."""
    candidates = lists_from_run(collection, run, depth, labels=bool(collection.qrels), order=False)
    return candidates, run_in_order(candidates, run.name)


def run_in_order(lists: Lists, name: str) -> Run:
    """Lists as a run: their passages in the order in which they stand."""
    rankings = {
        query_id: rank(passages, range(len(passages), 0, -1))
        for query_id, passages in zip(lists.query_ids, lists.passage_ids, strict=True)
    }
    return Run(name, rankings)


def lists_from_scored_run(collection: Collection, run: Run, depth: int | None = None) -> Lists:
    """A teacher's own run as lists: its scores, and the order that these imply. Raises what `lists_from_run` raises."""
    lists = lists_from_run(collection, run, depth, labels=False, order=True)
    score = {
        query_id: dict(zip(run[query_id].docids, run[query_id].scores, strict=True)) for query_id in lists.query_ids
    }
    scores = {
        query_id: np.array([score[query_id][docid] for docid in passages])
        for query_id, passages in zip(lists.query_ids, lists.passage_ids, strict=True)
    }
    return teacher_order_from_scores(with_teacher_scores(lists, scores, run.name))


def lists_from_scores(
    candidates: Lists, scores: Mapping[str, np.ndarray], teacher: str, details: Mapping[str, str]
) -> Lists:
    """The candidates with a teacher's scores and the order that these imply; `details` go into the metadata."""
    lists = teacher_order_from_scores(with_teacher_scores(candidates, scores, teacher))
    return replace(lists, metadata={**lists.metadata, **details})


def lists_from_orders(
    candidates: Lists, orders: Mapping[str, np.ndarray], teacher: str, details: Mapping[str, str]
) -> Lists:
    """The candidates with a teacher's order: query id → values [passages], higher is better, equal ones tie.

    Queries without an order are left out, and counted in the metadata (queries_without_order). DataError where none
    is left.
    """
    rows = [row for row, query_id in enumerate(candidates.query_ids) if query_id in orders]
    kept = _rows(candidates, rows, "order", teacher)
    metadata = {
        **kept.metadata,
        "teacher": teacher,
        "order_from": teacher,
        "queries_without_order": str(len(candidates) - len(rows)),
        **details,
    }
    return replace(
        kept, teacher_order=[average_ranks(orders[query_id]) for query_id in kept.query_ids], metadata=metadata
    )


def lists_from_grades(
    candidates: Lists, grades: Mapping[str, Mapping[str, int]], teacher: str, details: Mapping[str, str]
) -> Lists:
    """The candidates with a teacher's grades, query id → docid → grade, as labels in place of any others.

    Passages without a grade are left out, never taken for irrelevant; so are queries without any. Metadata counts both
    (passages_without_grade, queries_without_grade). DataError where none is left.
    """
    rows = [row for row, query_id in enumerate(candidates.query_ids) if grades.get(query_id)]
    kept = _rows(candidates, rows, "grade", teacher)
    judged = [
        [docid for docid in passages if docid in grades[query_id]]
        for query_id, passages in zip(kept.query_ids, kept.passage_ids, strict=True)
    ]
    left_out = sum(map(len, kept.passage_ids)) - sum(map(len, judged))
    labels = [
        np.array([grades[query_id][docid] for docid in passages], dtype=np.float32)
        for query_id, passages in zip(kept.query_ids, judged, strict=True)
    ]
    metadata = {
        **kept.metadata,
        "labels_from": teacher,
        "passages_without_grade": str(left_out),
        "queries_without_grade": str(len(candidates) - len(rows)),
        **details,
    }
    return Lists(kept.query_ids, judged, labels=labels, metadata=metadata)


def lists_from_signals(
    gives: str, candidates: Lists, signals: Mapping[str, np.ndarray], teacher: str, details: Mapping[str, str]
) -> Lists:
    """The candidates with what a teacher `gives`: query id → scores, values of an order, or grades, -1 for none."""
    if gives == "scores":
        return lists_from_scores(candidates, signals, teacher, details)
    if gives == "order":
        return lists_from_orders(candidates, signals, teacher, details)
    grades = {
        query_id: {docid: int(grade) for docid, grade in zip(docids, signals[query_id], strict=True) if grade >= 0}
        for query_id, docids in zip(candidates.query_ids, candidates.passage_ids, strict=True)
        if query_id in signals
    }
    return lists_from_grades(candidates, grades, teacher, details)


def _rows(lists: Lists, rows: Sequence[int], what: str, teacher: str) -> Lists:
    """The lists at these places."""
    if not rows:
        raise DataError(f"{teacher} gave no {what} for any of {len(lists)} queries: no list is left")
    signals = {name: [values[row] for row in rows] for name in SIGNALS if (values := lists.values(name)) is not None}
    return Lists(
        [lists.query_ids[row] for row in rows],
        [lists.passage_ids[row] for row in rows],
        metadata=lists.metadata,
        **signals,
    )


def _run_of(lists: Lists, run: Run) -> Run:
    """The part of `run` that `lists` hold."""
    rankings = {}
    for query_id, passage_ids in zip(lists.query_ids, lists.passage_ids, strict=True):
        kept = set(passage_ids)
        mask = np.array([docid in kept for docid in run[query_id].docids])
        rankings[query_id] = Ranking(tuple(passage_ids), run[query_id].scores[mask])
    return Run(run.name, rankings, run.tag)
