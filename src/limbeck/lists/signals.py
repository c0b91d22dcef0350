"""Signals of lists: a stronger model's scores, order or grades added, some selected, lists of several sources mixed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.lists.candidates import lists_from_run
from limbeck.lists.lists import SIGNALS, Lists, joined_metadata
from limbeck.lists.ragged import joined
from limbeck.runs import Ranking, Run, rank


def with_teacher_scores(lists: Lists, scores: Mapping[str, np.ndarray] | Sequence[np.ndarray], teacher: str) -> Lists:
    """The same lists with `scores` as their teacher scores and `teacher` in the metadata; nothing else changes.

    `scores` gives per list an array [passages] in the list's passage order: by query id, or one per list in the lists'
    order (needed where a query has several lists). DataError for a query without scores or a wrong length.
    """
    if isinstance(scores, Mapping):
        if len(set(lists.query_ids)) < len(lists):
            raise DataError("teacher scores by query id, but a query has several lists: expected one array per list")
        absent = [query_id for query_id in lists.query_ids if query_id not in scores]
        if absent:
            raise DataError(
                f'{len(absent)} of {len(lists)} queries have no teacher scores, the first is "{absent[0]}": '
                "expected scores for the passages of every list"
            )
        scores = [scores[query_id] for query_id in lists.query_ids]
    return replace(lists, teacher_scores=list(scores), metadata={**lists.metadata, "teacher": teacher})


def only_signals(lists: Lists, names: frozenset[str]) -> Lists:
    """The same lists with the signals `names` and no others."""
    labels, scores, order = (lists.values(name) if name in names else None for name in SIGNALS)
    return replace(lists, labels=labels, teacher_scores=scores, teacher_order=order)


def teacher_order_from_scores(lists: Lists) -> Lists:
    """The same lists with the order that their teacher scores imply: n for the best of n passages, 1 for the worst.

    Equal scores share their average rank, so that they form no pair in an objective.
    """
    if lists.teacher_scores is None:
        raise DataError("lists carry no teacher_scores: expected them, an order is derived from scores")
    order = [average_ranks(scores) for scores in lists.teacher_scores]
    return replace(lists, teacher_order=order, metadata={**lists.metadata, "order_from": "teacher_scores"})


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks [n] of `values` [n], 1 for the smallest; equal values share the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(sizes)
    return (last_rank - (sizes - 1) / 2)[group]


def mix(parts: Mapping[str, Lists]) -> Lists:
    """All lists of all parts, by their names, in order. A query may have lists in several parts.

    Signals that a part lacks are left out of all; metadata counts each part's lists (`lists_of`) and names the signals
    (`signals_left_out`). What else differs in the metadata is joined with ` + `.

    DataError where the parts have no signal in common: an objective reads one signal of every list.
    """
    shared = frozenset.intersection(*(part.signals for part in parts.values()))
    if not shared:
        found = "; ".join(f"{name}: {', '.join(sorted(part.signals)) or 'none'}" for name, part in parts.items())
        raise DataError(f"the lists have no signal in common ({found}); expected one, such as labels, that all have")
    left_out = frozenset.union(*(part.signals for part in parts.values())) - shared
    kept = [only_signals(part, shared) for part in parts.values()]
    columns = {name: joined([getattr(part, name) for part in kept]) for name in ("query_ids", "passage_ids", *shared)}
    metadata = {
        **joined_metadata([part.metadata for part in kept]),
        "lists_of": " + ".join(f"{name}: {len(part)}" for name, part in parts.items()),
        "signals_left_out": ", ".join(sorted(left_out)) or "none",
    }
    return Lists(**columns, metadata=metadata)


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
    return candidates, run_in_order(candidates, run.name, run)


def run_in_order(lists: Lists, name: str, run: Run | None = None) -> Run:
    """Lists as a run: their passages in the order in which they stand.

    With the `run` that they were made of, they keep its scores; what was added stands a hair below what is before it.
    """
    rankings = {}
    for query_id, passages in zip(lists.query_ids, lists.passage_ids, strict=True):
        scores: list[float] = [*range(len(passages), 0, -1)]
        if run is not None:
            ranking = run[query_id]
            known, least = dict(zip(ranking.docids, ranking.scores.tolist(), strict=True)), float(ranking.scores[-1])
            scores, above = [], math.inf
            for docid in passages:  # an added one that the run has too, but deeper, stays where it stands
                scores.append(min(known.get(docid, least), above))
                above = scores[-1] - 1e-6 * (1 + abs(scores[-1]))
        rankings[query_id] = rank(passages, scores)
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
