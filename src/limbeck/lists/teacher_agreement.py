"""How good teachers are, and how far they agree, seen from the lists that they made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation import measure_run
from limbeck.lists.lists import Lists, TrainingList
from limbeck.runs import Run

PERSISTENCE = 0.9


@dataclass(frozen=True)
class TeacherQuality:
    """One teacher, over the queries that all teachers compared have.

    measure       its value; None without judgments, as the next three
    first_stage   the value of the candidates in the order that the teacher was given
    best          the value of the same candidates in the order of their grades
    headroom      the share of the way from first stage to best that the teacher goes
    input_tau     mean Kendall τ-b of the order that it was given and the order that it made: 1 for one that changed
                  nothing
    """

    measure: float | None
    first_stage: float | None
    best: float | None
    headroom: float | None
    input_tau: float


@dataclass(frozen=True)
class Agreement:
    """Two teachers: mean Kendall τ-b, and mean rank-biased overlap, which looks at the top above all."""

    first: str
    second: str
    kendall: float
    overlap: float


@dataclass(frozen=True)
class TeacherReport:
    """Teachers by name, the agreement of each two, and how many queries all of them have."""

    measure: str
    queries: int
    teachers: dict[str, TeacherQuality]
    agreement: tuple[Agreement, ...]


def report_teachers(
    collection: Collection, lists: Mapping[str, Lists], measure: str = "nDCG@10", given: Run | None = None
) -> TeacherReport:
    """Compare teachers on the queries that all their lists have, judged ones where the collection has judgments.

    given: the run whose order the teachers were given; default: the order of the lists' passages, which is it for lists
        that `limbeck teach` made. Passages that it lacks come last.

    Raises:
        DataError: lists without a teacher's order, with several lists of a query, or without a query in common.
        UsageError: no `given` for lists made of a teacher's run, whose passages are in the teacher's own order.
    """
    for name, found in lists.items():
        if given is None and found.metadata.get("order_from") == "run":
            raise UsageError(f"{name}: its passages are in the teacher's order; name the run that it was given: --run")
    rows = {name: _rows(name, found) for name, found in lists.items()}
    shared = [query_id for query_id in collection.query_ids if all(query_id in found for found in rows.values())]
    judged = [query_id for query_id in shared if collection.qrels.get(query_id)]
    common = judged or shared
    if not common:
        raise DataError(f"{', '.join(lists)}: have no query of {collection.name} in common")
    teachers = {
        name: _quality(collection, [found[query_id] for query_id in common], given, measure if judged else None)
        for name, found in rows.items()
    }
    agreement = []
    for first, second in combinations(rows, 2):
        pairs = [_in_common(rows[first][query_id], rows[second][query_id]) for query_id in common]
        taus = [tau(a, b) for a, b in pairs]
        overlaps = [rank_biased_overlap(_ranked(a), _ranked(b)) for a, b in pairs]
        agreement.append(Agreement(first, second, float(np.mean(taus)), float(np.mean(overlaps))))
    return TeacherReport(measure, len(common), teachers, tuple(agreement))


def tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall τ-b of two signals [passages]; 0 where one of them ties throughout."""
    from scipy.stats import kendalltau

    found = float(kendalltau(first, second).statistic)
    return 0.0 if np.isnan(found) else found


def rank_biased_overlap(first: Sequence[int], second: Sequence[int], p: float = PERSISTENCE) -> float:
    """Extrapolated rank-biased overlap of two rankings of one length (Webber et al. 2010, equation 32).

    >>> rank_biased_overlap([0, 1, 2], [0, 1, 2])
    1.0
    """
    seen: set[int] = set()
    shared, total = 0, 0.0
    for depth, (a, b) in enumerate(zip(first, second, strict=True), 1):
        shared += (a in seen) + (b in seen) + (a == b)
        seen |= {a, b}
        total += shared / depth * p**depth
    return float(shared / len(first) * p ** len(first) + (1 - p) / p * total) if first else 0.0


def _quality(
    collection: Collection, rows: Sequence[TrainingList], given: Run | None, measure: str | None
) -> TeacherQuality:
    before = [_given(row, given) for row in rows]
    made = [_order(row) for row in rows]
    bias = float(np.mean([tau(a, b) for a, b in zip(before, made, strict=True)]))
    if measure is None:
        return TeacherQuality(None, None, None, None, bias)
    grades = [
        np.array([collection.qrels[row.query_id].get(docid, 0) for docid in row.passage_ids], dtype=np.float64)
        for row in rows
    ]
    teacher, first, best = (_measured(collection, rows, signal, measure) for signal in (made, before, grades))
    headroom = (teacher - first) / (best - first) if best > first else None
    return TeacherQuality(teacher, first, best, headroom, bias)


def _measured(
    collection: Collection, rows: Sequence[TrainingList], signal: Sequence[np.ndarray], measure: str
) -> float:
    """Mean over these queries alone."""
    scores = {
        row.query_id: dict(zip(row.passage_ids, values.tolist(), strict=True))
        for row, values in zip(rows, signal, strict=True)
    }
    values = measure_run(collection, Run.from_scores("teacher", scores), [measure])
    of_query = values.values[values.measures[0]]
    return float(np.mean([of_query[row.query_id] for row in rows]))


def _rows(name: str, lists: Lists) -> dict[str, TrainingList]:
    if lists.teacher_order is None:
        raise DataError(f"{name}: carries no teacher_order, expected lists that a teacher made")
    if len(set(lists.query_ids)) < len(lists):
        raise DataError(f"{name}: a query has several lists, expected one")
    return {query_id: lists[row] for row, query_id in enumerate(lists.query_ids)}


def _given(row: TrainingList, run: Run | None) -> np.ndarray:
    """Places from the end in the order that the teacher was given, [passages]."""
    docids = row.passage_ids if run is None else run[row.query_id].docids if row.query_id in run else ()
    place = {docid: len(docids) - number for number, docid in enumerate(docids)}
    return np.array([place.get(docid, 0) for docid in row.passage_ids])


def _order(row: TrainingList) -> np.ndarray:
    assert row.teacher_order is not None
    return row.teacher_order


def _in_common(first: TrainingList, second: TrainingList) -> tuple[np.ndarray, np.ndarray]:
    """Both orders over the passages that both have, in one order of these."""
    other = dict(zip(second.passage_ids, _order(second).tolist(), strict=True))
    kept = [
        (a, other[docid]) for docid, a in zip(first.passage_ids, _order(first).tolist(), strict=True) if docid in other
    ]
    return np.array([a for a, _ in kept]), np.array([b for _, b in kept])


def _ranked(order: np.ndarray) -> list[int]:
    """Places of passages, best first; of equal ones the earlier first."""
    return [int(place) for place in np.argsort(-order, kind="stable")]
