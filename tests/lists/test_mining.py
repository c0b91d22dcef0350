from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.lists import (
    Lists,
    NegativeFilter,
    candidates_to_mine,
    lists_from_scored_run,
    lists_from_scores,
    mine,
    teacher_order_from_scores,
)
from limbeck.runs import Run


@pytest.fixture
def taught() -> Lists:
    """Query q1's d1, d2, d3, d7, d8 with cosines; d1, d7 and d8 are judged relevant. q3 has nothing relevant."""
    lists = Lists(
        ["q1", "q3"],
        [["d3", "d1", "d2", "d7", "d8"], ["d5", "d6"]],
        teacher_scores=[np.array([0.79, 0.8, 0.5, 0.6, 0.1]), np.array([0.3, 0.2])],
        metadata={"teacher": "cosine"},
    )
    return teacher_order_from_scores(lists)


def of(lists: Lists) -> dict[str, list[str]]:
    """Positive → its negatives."""
    return {passages[0]: list(passages[1:]) for passages in lists.passage_ids}


@pytest.mark.parametrize(
    ("negatives", "expected"),
    [
        (NegativeFilter(relative_margin=0.05), {"d1": ["d2"], "d7": ["d2"]}),  # at most .76, .57, .095
        (NegativeFilter(absolute_margin=0.25), {"d1": ["d2"]}),  # at most .55, .35, -.15
        (NegativeFilter(absolute_margin=0.0), {"d1": ["d3", "d2"], "d7": ["d2"]}),
        (NegativeFilter(skip=1), {"d1": ["d2"], "d7": ["d2"], "d8": ["d2"]}),
        (NegativeFilter(skip=0), {"d1": ["d3", "d2"], "d7": ["d3", "d2"], "d8": ["d3", "d2"]}),
        (NegativeFilter(relative_margin=0.0, skip=1), {"d1": ["d2"], "d7": ["d2"]}),
    ],
)
def test_what_the_teacher_scores_too_near_a_positive_is_no_negative_of_it(collection, taught, negatives, expected):
    lists = mine(collection, taught, negatives)
    assert of(lists) == expected
    candidates = 2 * 3  # of each of three positives
    kept = sum(map(len, expected.values()))
    assert lists.metadata["negative_candidates"] == str(candidates)
    assert lists.metadata["false_negatives_filtered"] == str(candidates - kept)
    assert lists.metadata["positives_without_negatives"] == str(3 - len(expected))
    assert lists.metadata["lists_without_positive"] == "1"


def test_each_list_keeps_grade_score_and_order_beside_its_passages(collection, taught):
    first = mine(collection, taught, NegativeFilter(absolute_margin=0.0))[0]
    assert first.passage_ids == ["d1", "d3", "d2"]
    assert first.labels.tolist() == [1, 0, 0]
    assert first.teacher_scores.tolist() == np.float32([0.8, 0.79, 0.5]).tolist()
    assert first.teacher_order.tolist() == [3, 2, 1]


def test_without_judgments_the_teachers_first_is_the_positive(collection, taught):
    lists = mine(replace(collection, qrels={}), taught, NegativeFilter(relative_margin=0.05))
    assert of(lists) == {"d1": ["d7", "d2", "d8"], "d5": ["d6"]}
    assert lists.metadata["labels_from"] == "the teacher's first"
    assert lists.metadata["false_negatives_filtered"] == "1"


def test_of_an_order_alone_places_are_skipped_and_margins_refused(collection, taught):
    ordered = replace(taught, teacher_scores=None)
    assert of(mine(replace(collection, qrels={}), ordered, NegativeFilter(skip=2))) == {"d1": ["d2", "d8"]}
    with pytest.raises(UsageError, match="of which no margin can be told; expected skip"):
        mine(collection, ordered, NegativeFilter(relative_margin=0.05))


def test_a_relative_margin_of_a_negative_score_is_below_it(collection, taught):
    below = replace(taught, teacher_scores=[scores - 1 for scores in taught.teacher_scores])
    lists = mine(replace(collection, qrels={}), below, NegativeFilter(relative_margin=0.5))  # at most -.3
    assert of(lists)["d1"] == ["d7", "d2", "d8"]


def test_filters_that_say_nothing_or_cannot_be_are_refused(collection, taught):
    with pytest.raises(UsageError, match="no filter of false negatives"):
        NegativeFilter()
    with pytest.raises(UsageError, match="skip is -1"):
        NegativeFilter(skip=-1)
    with pytest.raises(DataError, match="no list is left with absolute_margin 9: 1 of 2 have no positive, and 3"):
        mine(collection, taught, NegativeFilter(absolute_margin=9))
    with pytest.raises(DataError, match="no teacher_order"):
        mine(collection, replace(taught, teacher_order=None), NegativeFilter(skip=1))


def test_judged_positives_that_the_run_lacks_are_scored_too(collection: Collection) -> None:
    run = Run.from_scores("r", {"q1": {"d2": 9, "d3": 8}})
    candidates, part = candidates_to_mine(collection, run)
    assert set(part["q1"].docids) == {"d1", "d2", "d3", "d7", "d8"}
    number = {f"d{n}": float(n) for n in range(10)}
    scores = {query_id: np.array([number[docid] for docid in part[query_id].docids]) for query_id in part}
    lists = mine(collection, lists_from_scores(candidates, scores, "t", {}), NegativeFilter(absolute_margin=0.5))
    assert of(lists) == {"d8": ["d3", "d2"], "d7": ["d3", "d2"]}


def test_any_runs_scores_are_a_teachers(collection: Collection, make_lists: Callable[..., Lists]) -> None:
    run = Run.from_scores("r", {"q1": {"d2": 0.9, "d8": 0.8, "gone": 0.7, "d3": 0.6}})
    found = lists_from_scored_run(collection, run)
    assert found[0].teacher_scores.tolist() == np.float32([0.9, 0.8, 0.6]).tolist()
    assert found[0].teacher_order.tolist() == [3, 2, 1]
    assert of(mine(collection, found, NegativeFilter(relative_margin=0.05))) == {"d8": ["d3"]}
