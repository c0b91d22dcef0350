from dataclasses import replace

import numpy as np
import pytest

from limbeck.core.errors import DataError
from limbeck.lists import Lists, mix, run_in_order, teacher_order_from_scores, with_teacher_scores
from limbeck.runs import Run

LISTS = Lists(["q1", "q2"], [["a", "b"], ["c", "d", "e"]], labels=[np.array([1, 0]), np.array([0, 0, 1])])


def test_teacher_scores_are_added_and_nothing_else_changes():
    scored = with_teacher_scores(LISTS, {"q2": np.array([1, 2, 3]), "q1": np.array([5, 4])}, "teacher-x")
    assert scored.teacher_scores is not None
    assert LISTS.teacher_scores is None
    assert [values.tolist() for values in scored.teacher_scores] == [[5, 4], [1, 2, 3]]
    assert scored.signals == {"labels", "teacher_scores"}
    assert (scored.query_ids, scored.passage_ids) == (LISTS.query_ids, LISTS.passage_ids)
    assert scored.metadata == {"teacher": "teacher-x"}


def test_scores_that_do_not_fit_the_lists_are_refused():
    with pytest.raises(DataError, match=r'1 of 2 queries.*first is "q2"'):
        with_teacher_scores(LISTS, {"q1": np.array([5, 4])}, "x")
    with pytest.raises(DataError, match=r"row 1.*3 values"):
        with_teacher_scores(LISTS, [np.array([1, 2, 3]), np.array([1, 2, 3])], "x")


def test_scores_by_query_are_refused_where_a_query_has_several_lists_and_taken_one_by_one():
    triples = Lists(["q1", "q1"], [["a", "b"], ["a", "c"]])
    with pytest.raises(DataError, match="several lists"):
        with_teacher_scores(triples, {"q1": np.array([1, 2])}, "x")
    assert with_teacher_scores(triples, [np.array([1, 2]), np.array([3, 4])], "x")[1].teacher_scores.tolist() == [3, 4]


def test_the_order_of_scores_is_n_for_the_best_and_ties_share_their_average_rank():
    scored = with_teacher_scores(LISTS, [np.array([0.1, 0.9]), np.array([2, -1, 2])], "x")
    order = teacher_order_from_scores(scored).teacher_order
    assert order is not None
    assert [values.tolist() for values in order] == [[1, 2], [2.5, 1, 2.5]]


def test_an_order_needs_scores():
    with pytest.raises(DataError, match="no teacher_scores"):
        teacher_order_from_scores(LISTS)


@pytest.fixture
def judged() -> Lists:
    return Lists(["q1"], [["d1", "d2"]], labels=[np.array([1, 0])], metadata={"run": "bm25", "collection": "c"})


@pytest.fixture
def mined(judged: Lists) -> Lists:
    scores = [np.array([0.5, 0.25])]
    return replace(
        judged, teacher_scores=scores, passage_ids=[["d1", "d3"]], metadata={"run": "dense", "collection": "c"}
    )


def test_all_lists_are_there_in_order_and_a_query_may_have_several(judged, mined):
    mixed = mix({"a": judged, "b": mined})
    assert (list(mixed.query_ids), mixed.passage_ids) == (["q1", "q1"], [["d1", "d2"], ["d1", "d3"]])
    assert [labels.tolist() for labels in mixed.labels] == [[1, 0], [1, 0]]


def test_signals_that_not_all_have_are_left_out_and_named(judged, mined):
    mixed = mix({"a": judged, "b": mined})
    assert mixed.signals == {"labels"}
    assert mixed.metadata["signals_left_out"] == "teacher_scores"
    assert mixed.metadata["lists_of"] == "a: 1 + b: 1"
    assert (mixed.metadata["run"], mixed.metadata["collection"]) == ("bm25 + dense", "c")
    assert mix({"a": mined, "b": mined}).signals == {"labels", "teacher_scores"}


def test_lists_without_a_signal_in_common_are_refused(judged, mined):
    with pytest.raises(DataError, match=r"no signal in common \(a: labels; b: teacher_scores\); expected one"):
        mix({"a": judged, "b": replace(mined, labels=None)})


def test_lists_as_a_run_keep_its_scores_and_their_own_order():
    run = Run.from_scores("first", {"q1": {"a": 7.5, "b": 2.0}, "q2": {"c": 3.0, "d": -4.0, "x": -5.0}})
    found = run_in_order(LISTS, "lists", run)
    assert (found["q1"].docids, found["q1"].scores.tolist()) == (("a", "b"), [7.5, 2.0])
    assert found["q2"].docids == ("c", "d", "e")
    assert found["q2"].scores[:2].tolist() == [3.0, -4.0]
    assert found["q2"].scores[2] == -5.0  # added: the run's least
    assert run_in_order(LISTS, "lists")["q2"].scores.tolist() == [3, 2, 1]


def test_what_was_added_stays_behind_whatever_the_run_says_of_it():
    """Scores go back to the lists by place: another order would give them to other passages."""
    lists = Lists(["q1"], [["a", "new", "newer", "deep", "deeper"]], labels=[np.array([0, 1, 1, 1, 1])])
    run = Run.from_scores("first", {"q1": {"a": 9.0, "b": 9.0, "deep": 5.0, "deeper": 5.0, "z": 1.0}})
    [ranking] = run_in_order(lists, "lists", run).values()
    assert ranking.docids == ("a", "new", "newer", "deep", "deeper")
    assert ranking.scores[:2].tolist() == [9.0, 1.0]
    assert (np.diff(ranking.scores) < 0).all()
    assert ranking.scores[-1] > 0.99
