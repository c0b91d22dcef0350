import numpy as np
import pytest

from limbeck.lists import lists_from_teacher
from limbeck.runs import Run


class Alphabet:
    """Scores a passage by the number in its text."""

    name, version = "alphabet", "sha256:1"

    def score(self, collection, run, *, progress=True):
        return {
            query_id: np.array([float(collection.documents[docid].split()[1]) for docid in ranking.docids])
            for query_id, ranking in run.items()
        }


RUN = Run.from_scores("r", {"q1": {"d2": 9, "gone": 8, "d8": 7, "d1": 6}, "q3": {"d5": 1}, "q4": {"d1": 1}})


def test_candidates_keep_the_runs_order_and_get_scores_order_and_labels(collection):
    lists = lists_from_teacher(collection, RUN, Alphabet(), scale=10, progress=False)
    assert lists.passage_ids == [["d2", "d8", "d1"], ["d5"]]
    assert lists[0].teacher_scores.tolist() == [20, 80, 10]
    assert lists[0].teacher_order.tolist() == [2, 3, 1]
    assert lists[0].labels.tolist() == [0, 3, 1]


def test_depth_and_missing_texts_are_honoured_before_the_teacher_works(collection):
    lists = lists_from_teacher(collection, RUN, Alphabet(), depth=2, progress=False)
    assert lists.passage_ids == [["d2"], ["d5"]]
    assert lists.metadata["passages_without_text"] == "1"


def test_the_metadata_names_the_teacher_and_its_weights(collection):
    metadata = lists_from_teacher(collection, RUN, Alphabet(), progress=False).metadata
    assert metadata["teacher"] == "alphabet"
    assert metadata["teacher_version"] == "sha256:1"
    assert metadata["collection"] == "tiny"
    assert metadata["run"] == "r"
    assert metadata["order_from"] == "teacher_scores"


def test_without_judgments_there_are_no_labels(collection):
    from dataclasses import replace

    lists = lists_from_teacher(replace(collection, qrels={}), RUN, Alphabet(), progress=False)
    assert lists.signals == {"teacher_scores", "teacher_order"}


@pytest.mark.parametrize("depth", [None, 1])
def test_each_score_stands_beside_its_passage(collection, depth):
    lists = lists_from_teacher(collection, RUN, Alphabet(), depth, progress=False)
    for passages, scores in zip(lists.passage_ids, lists.teacher_scores, strict=True):
        assert [f"d{score:.0f}" for score in scores] == passages
