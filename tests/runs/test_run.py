import numpy as np
import pytest

from limbeck.core.errors import DataError, UsageError
from limbeck.runs import Run, rank

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
