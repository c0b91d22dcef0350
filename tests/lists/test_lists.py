import numpy as np
import pytest

from limbeck.core.errors import DataError
from limbeck.lists import Lists, concatenate, describe


def two_lists(**signals: list[np.ndarray]) -> Lists:
    return Lists(["q1", "q2"], [["a", "b"], ["c", "d", "e"]], **signals)


def test_a_list_is_read_as_one_row_with_the_signals_there_are():
    lists = two_lists(labels=[np.array([1, 0]), np.array([0, 2, 0])])
    row = lists[1]
    assert (len(lists), len(row), row.query_id, row.passage_ids) == (2, 3, "q2", ["c", "d", "e"])
    assert row.labels is not None
    assert row.labels.tolist() == [0, 2, 0]
    assert row.teacher_scores is None
    assert row.teacher_order is None
    assert lists.signals == {"labels"}
    assert two_lists().signals == frozenset()


@pytest.mark.parametrize(
    ("signal", "values", "words"),
    [
        ("teacher_scores", [[1, 2], [1, np.nan, 3]], ['row 2 (query "q2")', "column teacher_scores", "nan", '"d"']),
        ("teacher_scores", [[1, 2], [1, 1e39, 3]], ["row 2", "inf", "expected a finite number"]),
        ("teacher_order", [[-np.inf, 2], [1, 2, 3]], ["row 1", "column teacher_order", "-inf", '"a"']),
        ("labels", [[1, -1], [1, 2, 3]], ["row 1", "column labels", "-1", "≥ 0"]),
        ("labels", [[1, 2], [1, 2]], ["row 2", "column labels", "2 values", "3 passages"]),
        ("labels", [[1, 2]], ["column labels", "1 lists", "2 queries"]),
    ],
)
def test_a_signal_that_no_objective_can_use_is_refused_with_its_place(signal, values, words):
    with pytest.raises(DataError) as caught:
        two_lists(**{signal: [np.array(value, dtype=float) for value in values]})
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("passages", "words"),
    [
        ([["a", "b"], ["c", "d", "c"]], ['row 2 (query "q2")', "passage_ids", '"c" occurs twice']),
        ([["a", "b"], []], ["row 2", "no passages"]),
        ([["a", "b"]], ["passage_ids", "1 lists", "2 queries"]),
    ],
)
def test_a_list_with_a_passage_twice_or_without_passages_is_refused(passages, words):
    with pytest.raises(DataError) as caught:
        Lists(["q1", "q2"], passages)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_fingerprint_tells_every_content_apart_and_ignores_metadata():
    signals = [np.array([1, 0]), np.array([0, 1, 2])]
    variants = [
        two_lists(),
        two_lists(labels=signals),
        two_lists(teacher_scores=signals),
        two_lists(labels=[np.array([1, 0]), np.array([0, 1, 1])]),
        Lists(["q1", "q2"], [["a", "b", "c"], ["d", "e"]]),
        Lists(["q1", "q2"], [["ab", ""], ["c", "d", "e"]]),
        Lists(["q1"], [["a", "b", "q2", "c", "d", "e"]]),
        Lists(["q2", "q1"], [["a", "b"], ["c", "d", "e"]]),
    ]
    assert len({lists.fingerprint for lists in variants}) == len(variants)
    assert two_lists(metadata={"run": "bm25"}) == two_lists()
    assert two_lists(labels=signals) != two_lists()


def test_concatenation_keeps_every_list_and_names_both_origins():
    first = Lists(["q1"], [["a"]], labels=[np.array([1])], metadata={"collection": "one", "depth": "9"})
    second = Lists(
        ["q2", "q2"], [["a"], ["b"]], labels=[np.array([0])] * 2, metadata={"collection": "two", "depth": "9"}
    )
    both = concatenate([first, second])
    assert both.query_ids == ["q1", "q2", "q2"]
    assert both.passage_ids == [["a"], ["a"], ["b"]]
    assert both.labels is not None
    assert [values.tolist() for values in both.labels] == [[1], [0], [0]]
    assert both.metadata == {"collection": "one + two", "depth": "9"}


def test_concatenation_refuses_a_query_id_of_two_parts_and_parts_of_different_signals():
    first = Lists(["q1"], [["a"]], metadata={"collection": "one"})
    with pytest.raises(DataError, match='"q1" is in the lists of one and of part 2'):
        concatenate([first, Lists(["q1"], [["b"]])])
    with pytest.raises(DataError, match="one carry no signal, lists of part 2 labels"):
        concatenate([first, Lists(["q2"], [["b"]], labels=[np.array([1])])])
    with pytest.raises(DataError, match="at least one"):
        concatenate([])


def test_a_description_counts_what_lists_hold():
    lists = two_lists(
        labels=[np.array([0, 0]), np.array([0, 2, 0])],
        teacher_scores=[np.array([-1.5, 0]), np.array([3, 3, 0])],
        metadata={"collection": "tiny"},
    )
    assert describe(lists) == {
        "lists": 2,
        "queries": 2,
        "passages": 5,
        "distinct_passages": 5,
        "passages_per_list": {"min": 2, "median": 2.5, "max": 3},
        "with_positive": 0.5,
        "signals": {
            "labels": {"min": 0, "mean": pytest.approx(0.4), "max": 2, "distinct": 2},
            "teacher_scores": {"min": -1.5, "mean": pytest.approx(0.9), "max": 3, "distinct": 3},
        },
        "metadata": {"collection": "tiny"},
        "fingerprint": lists.fingerprint,
    }
    assert describe(Lists([], [], labels=[]))["lists"] == 0
