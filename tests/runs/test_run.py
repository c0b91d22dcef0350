import numpy as np
import pytest

from limbeck.core.errors import DataError, UsageError
from limbeck.runs import Ranking, Run, rank


def test_higher_scores_come_first() -> None:
    ranking = rank(["a", "b", "c"], [0.5, -1.0, 2.0])
    assert ranking.docids == ("c", "a", "b")
    assert ranking.scores.tolist() == [2.0, 0.5, -1.0]


def test_ties_go_by_docid_descending_in_utf8_bytes() -> None:
    docids = ["a", "B", "10", "9", "é", "z", "\U0001f600", "\uffee"]
    assert list(rank(docids, np.zeros(len(docids))).docids) == sorted(docids, key=str.encode, reverse=True)


def test_negative_zero_ties_with_zero() -> None:
    assert rank(["a", "b"], [0.0, -0.0]).docids == ("b", "a")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_not_finite_are_refused(score: float) -> None:
    with pytest.raises(DataError, match=r'document "b" has the score .*expected a finite number'):
        rank(["a", "b"], [1.0, score])


@pytest.mark.parametrize("docid", ["a b", "a\tb", "a\u00a0b", "a\n", "", "\ufeffa", "\ud800"])
def test_docids_that_a_run_file_cannot_carry_are_refused(docid: str) -> None:
    with pytest.raises(DataError, match="the id"):
        rank(["x", docid], [2.0, 1.0])


def test_a_document_twice_is_refused() -> None:
    with pytest.raises(DataError, match='"a" is ranked twice'):
        rank(["a", "b", "a"], [1.0, 2.0, 3.0])


def test_as_many_scores_as_documents_are_needed() -> None:
    with pytest.raises(DataError, match=r"shape \[2\] for 1 documents"):
        rank(["a"], [1.0, 2.0])
    with pytest.raises(DataError, match=r"shape \[2\] for 1 documents"):
        Ranking(("a",), np.array([1.0, 0.0]))


@pytest.mark.parametrize(("docids", "scores"), [(("a", "b"), [1.0, 2.0]), (("a", "b"), [1.0, 1.0])])
def test_a_ranking_out_of_order_cannot_be_built(docids: tuple[str, ...], scores: list[float]) -> None:
    with pytest.raises(DataError, match="build it with rank"):
        Ranking(docids, np.array(scores))


def test_scores_belong_to_the_ranking_alone() -> None:
    scores = np.array([2.0, 1.0])
    ranking = Ranking(("a", "b"), scores)
    scores[0] = 0.0
    assert ranking.scores.tolist() == [2.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        ranking.scores[0] = 5.0


def test_rankings_compare_by_documents_and_scores() -> None:
    assert rank(["a", "b"], [1, 2]) == rank(["b", "a"], [2.0, 1.0])
    assert rank(["a", "b"], [1, 2]) != rank(["a", "b"], [1, 3])
    assert rank(["a"], [1]) != "a"
    assert len({rank(["a"], [1]), rank(["a"], [1.0])}) == 1


RUN = Run.from_scores("bm25", {"q2": {"a": 1.0, "b": 1.0, "c": 3.0}, "q1": {"a": 0.5}})


def test_a_run_is_a_mapping_of_rankings_in_its_own_order() -> None:
    assert list(RUN) == ["q2", "q1"]
    assert len(RUN) == 2
    assert RUN["q2"].docids == ("c", "b", "a")
    assert "q3" not in RUN


def test_a_query_without_candidates_is_no_part_of_a_run() -> None:
    assert list(Run.from_scores("x", {"q1": {}, "q2": {"a": 1.0}})) == ["q2"]


def test_cutting_keeps_the_best_and_leaves_the_run_alone() -> None:
    assert RUN.cut(2)["q2"].docids == ("c", "b")
    assert RUN.cut(2)["q1"] == RUN["q1"]
    assert RUN.cut(2).name == "bm25"
    assert len(RUN["q2"]) == 3
    assert RUN.cut(100) == RUN


@pytest.mark.parametrize("depth", [0, -1])
def test_a_depth_below_one_is_refused(depth: int) -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        RUN.cut(depth)


def test_equal_rankings_have_one_fingerprint_whatever_their_name_and_order() -> None:
    other = Run("else", {"q1": RUN["q1"], "q2": RUN["q2"]}, tag="t")
    assert other == RUN
    assert other.fingerprint == RUN.fingerprint
    assert len(RUN.fingerprint) == 16


@pytest.mark.parametrize(
    "scores",
    [
        {"q2": {"a": 1.0, "b": 1.0, "c": 3.0}, "q1": {"a": np.nextafter(0.5, 1)}},
        {"q2": {"a": 1.0, "b": 1.0, "c": 3.0}, "q1": {"b": 0.5}},
        {"q2": {"a": 1.0, "b": 1.0, "c": 3.0}, "q3": {"a": 0.5}},
        {"q2": {"a": 1.0, "b": 1.0, "c": 3.0}},
    ],
)
def test_any_other_ranking_has_another_fingerprint(scores: dict[str, dict[str, float]]) -> None:
    assert Run.from_scores("bm25", scores).fingerprint != RUN.fingerprint


def test_a_refused_score_names_its_run_and_query() -> None:
    with pytest.raises(DataError, match='run bm25, query q7: document "a" has the score nan'):
        Run.from_scores("bm25", {"q7": {"a": float("nan")}})


@pytest.mark.parametrize(
    ("query_id", "tag"), [("q 1", "t"), ("", "t"), ("q1", "two words"), ("q1", ""), ("\ud800", "t")]
)
def test_ids_and_tags_that_a_run_file_cannot_carry_are_refused(query_id: str, tag: str) -> None:
    with pytest.raises(DataError, match="run x"):
        Run("x", {query_id: rank(["a"], [1.0])}, tag)
