from dataclasses import replace

import numpy as np
import pytest

from limbeck.core.errors import DataError
from limbeck.lists import candidates_to_teach, lists_from_grades, lists_from_orders, lists_from_scores
from limbeck.runs import Run

RUN = Run.from_scores("r", {"q1": {"d2": 9, "gone": 8, "d8": 7, "d1": 6}, "q3": {"d5": 1}, "q4": {"d1": 1}})


def taught(collection, depth=None):
    """Lists with the number in a passage's text as its score."""
    candidates, part = candidates_to_teach(collection, RUN, depth)
    scores = {
        query_id: np.array([float(collection.documents[docid].split()[1]) for docid in ranking.docids])
        for query_id, ranking in part.items()
    }
    return lists_from_scores(candidates, scores, "alphabet", {"teacher_version": "sha256:1"})


def test_candidates_keep_the_runs_order_and_get_scores_order_and_labels(collection):
    lists = taught(collection)
    assert lists.passage_ids == [["d2", "d8", "d1"], ["d5"]]
    assert lists[0].teacher_scores.tolist() == [2, 8, 1]
    assert lists[0].teacher_order.tolist() == [2, 3, 1]
    assert lists[0].labels.tolist() == [0, 3, 1]


def test_depth_and_missing_texts_are_honoured_before_the_teacher_works(collection):
    lists = taught(collection, depth=2)
    assert lists.passage_ids == [["d2"], ["d5"]]
    assert lists.metadata["passages_without_text"] == "1"


def test_the_metadata_names_the_teacher_and_its_weights(collection):
    metadata = taught(collection).metadata
    assert metadata["teacher"] == "alphabet"
    assert metadata["teacher_version"] == "sha256:1"
    assert metadata["collection"] == "tiny"
    assert metadata["run"] == "r"
    assert metadata["order_from"] == "teacher_scores"


def test_without_judgments_there_are_no_labels(collection):
    assert taught(replace(collection, qrels={})).signals == {"teacher_scores", "teacher_order"}


@pytest.mark.parametrize("depth", [None, 1])
def test_each_score_stands_beside_its_passage(collection, depth):
    lists = taught(collection, depth)
    for passages, scores in zip(lists.passage_ids, lists.teacher_scores, strict=True):
        assert [f"d{score:.0f}" for score in scores] == passages


def test_orders_become_ranks_and_queries_without_one_are_left_out_and_counted(collection):
    candidates, part = candidates_to_teach(collection, RUN)
    assert part["q1"].docids == ("d2", "d8", "d1")
    lists = lists_from_orders(candidates, {"q1": np.array([2.0, 2.0, 1.0])}, "llm", {"queries_excluded": "1"})
    assert lists.query_ids == ["q1"]
    assert lists[0].teacher_order.tolist() == [2.5, 2.5, 1]
    assert lists[0].labels.tolist() == [0, 3, 1]
    assert (lists.metadata["queries_without_order"], lists.metadata["queries_excluded"]) == ("1", "1")
    assert lists.metadata["teacher"] == "llm"


def test_grades_become_labels_and_passages_without_one_are_left_out_and_counted(collection):
    candidates, _ = candidates_to_teach(collection, RUN)
    lists = lists_from_grades(candidates, {"q1": {"d1": 3, "d2": 0}, "q3": {}}, "judge", {})
    assert lists.passage_ids == [["d2", "d1"]]
    assert lists[0].labels.tolist() == [0, 3]
    assert lists.metadata["passages_without_grade"] == "1"
    assert lists.metadata["queries_without_grade"] == "1"
    assert lists.signals == {"labels"}


def test_nothing_from_a_teacher_is_an_error(collection):
    candidates, _ = candidates_to_teach(collection, RUN)
    with pytest.raises(DataError, match="llm gave no order for any of 2 queries"):
        lists_from_orders(candidates, {}, "llm", {})
