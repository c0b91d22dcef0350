from dataclasses import replace

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.lists import Lists
from limbeck.lists.teacher_agreement import rank_biased_overlap, report_teachers, tau
from limbeck.runs import Run

DOCIDS = ["d1", "d2", "d3", "d4"]
COLLECTION = Collection(
    name="tiny",
    documents={docid: docid for docid in DOCIDS},
    queries={"q1": "one", "q2": "two", "q3": "three"},
    qrels={"q1": {"d4": 1}, "q2": {"d3": 1}},
    query_ids=("q1", "q2", "q3"),
)


def lists(*orders, queries=("q1", "q2")):
    return Lists(
        list(queries), [DOCIDS] * len(orders), teacher_order=[np.array(order, dtype=float) for order in orders]
    )


SAME, PERFECT, BACKWARDS = (
    lists([4, 3, 2, 1], [4, 3, 2, 1]),
    lists([1, 2, 3, 4], [1, 2, 4, 3]),
    lists([1, 2, 3, 4], [1, 2, 3, 4]),
)


def test_headroom_is_none_taken_by_the_input_and_all_by_the_grades():
    report = report_teachers(COLLECTION, {"same": SAME, "perfect": PERFECT}, "RR@10")
    same, perfect = report.teachers["same"], report.teachers["perfect"]
    assert same.first_stage == pytest.approx((1 / 4 + 1 / 3) / 2)
    assert (same.measure, same.headroom, same.input_tau) == (same.first_stage, 0, 1)
    assert (perfect.measure, perfect.best, perfect.headroom) == (1, 1, 1)


def test_lists_of_a_teachers_run_need_the_run_that_it_was_given():
    published = replace(PERFECT, metadata={"order_from": "run"})
    with pytest.raises(UsageError, match="--run"):
        report_teachers(COLLECTION, {"published": published})
    given = Run.from_scores("first", {query_id: {"d4": 4, "d3": 3, "d1": 2} for query_id in ("q1", "q2")})
    found = report_teachers(COLLECTION, {"published": published}, "RR@10", given).teachers["published"]
    assert found.first_stage == (1 + 1 / 2) / 2


def test_agreement_is_1_with_oneself_and_minus_1_backwards():
    report = report_teachers(COLLECTION, {"a": SAME, "b": SAME, "c": BACKWARDS})
    found = {(pair.first, pair.second): pair for pair in report.agreement}
    assert (found["a", "b"].kendall, found["a", "b"].overlap) == (1, pytest.approx(1))
    assert found["a", "c"].kendall == -1
    assert found["a", "c"].overlap < 0.9


def test_only_queries_that_all_teachers_have_count():
    part = lists([1, 2, 3, 4], queries=("q1",))
    assert report_teachers(COLLECTION, {"a": SAME, "b": part}).queries == 1
    with pytest.raises(DataError, match="have no query of tiny in common"):
        report_teachers(COLLECTION, {"a": part, "b": lists([1, 2, 3, 4], queries=("q2",))})


def test_without_judgments_agreement_and_bias_are_left():
    report = report_teachers(replace(COLLECTION, qrels={}), {"a": SAME, "c": BACKWARDS})
    assert report.teachers["c"].measure is None
    assert report.teachers["c"].input_tau == -1


def test_lists_without_an_order_are_refused():
    with pytest.raises(DataError, match="a: carries no teacher_order"):
        report_teachers(COLLECTION, {"a": Lists(["q1"], [DOCIDS])})


def test_overlap_weighs_the_top_more():
    order = list(range(20))
    swapped_top, swapped_end = [1, 0, *order[2:]], [*order[:18], 19, 18]
    assert rank_biased_overlap(order, swapped_top) < rank_biased_overlap(order, swapped_end) < 1


def test_overlap_by_hand():
    # Overlaps at depths 1 and 2 are 0 and 1: (2/2)·p² + (1-p)/p · (0·p + 1·p²), p = 0.9.
    assert rank_biased_overlap([0, 1], [1, 0]) == pytest.approx(0.81 + 0.1 / 0.9 * 0.81)


def test_an_order_that_ties_throughout_agrees_with_none():
    assert tau(np.array([1.0, 1.0]), np.array([1.0, 2.0])) == 0
