import numpy as np
import pytest

from limbeck.core.errors import DataError
from limbeck.lists import Lists, teacher_order_from_scores, with_teacher_scores

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
