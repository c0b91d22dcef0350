import itertools

import pytest

from limbeck.core.errors import UsageError
from limbeck.runs import Fusion, Run

A = Run.from_scores("a", {"q1": {"x": 9.0, "y": 5.0, "z": 1.0}, "q2": {"x": 3.0}})
B = Run.from_scores("b", {"q1": {"y": 0.75, "w": 0.5, "x": 0.25}, "q3": {"v": 1.0, "u": 1.0}})


def scores(run: Run, query_id: str) -> dict[str, float]:
    return dict(zip(run[query_id].docids, run[query_id].scores.tolist(), strict=True))


def test_reciprocal_ranks_are_added() -> None:
    fused = Fusion().fuse([A, B])
    assert scores(fused, "q1") == pytest.approx(
        {"x": 1 / 61 + 1 / 63, "y": 1 / 62 + 1 / 61, "z": 1 / 63, "w": 1 / 62}, rel=1e-12
    )
    assert fused["q1"].docids == ("y", "x", "w", "z")
    assert scores(Fusion(k=0).fuse([A, B]), "q1")["x"] == pytest.approx(1 + 1 / 3)


def test_ranks_of_ties_are_those_of_the_tie_rule() -> None:
    assert Fusion().fuse([A, B])["q3"].docids == ("v", "u")


def test_queries_of_any_run_are_in_the_fused_one() -> None:
    fused = Fusion().fuse([A, B])
    assert list(fused) == ["q1", "q2", "q3"]
    assert scores(fused, "q2") == {"x": 1 / 61}


def test_interpolation_scales_each_query_of_each_run_to_0_and_1() -> None:
    fused = Fusion("interpolate", weights=(1, 3)).fuse([A, B])
    assert scores(fused, "q1") == pytest.approx({"x": 1 * 1 + 3 * 0, "y": 0.5 + 3, "z": 0, "w": 1.5}, rel=1e-12)
    assert scores(Fusion("interpolate").fuse([A, B]), "q1")["y"] == pytest.approx(1.5)


def test_candidates_that_all_tie_are_as_good_as_the_best() -> None:
    assert scores(Fusion("interpolate").fuse([A, B]), "q3") == {"v": 1.0, "u": 1.0}
    assert scores(Fusion("interpolate").fuse([A, B]), "q2") == {"x": 1.0}


def test_documents_with_the_same_ranks_in_other_runs_tie() -> None:
    # 1/61 + 1/62 + 1/67 depends on the order in which floats are added.
    places = {"x": (1, 2, 7), "y": (2, 7, 1), "z": (7, 1, 2)}
    runs = []
    for number in range(3):
        scores = {f"{number}-{rank}": -float(rank) for rank in range(1, 8)}
        for docid, ranks in places.items():
            del scores[f"{number}-{ranks[number]}"]
            scores[docid] = -float(ranks[number])
        runs.append(Run.from_scores(str(number), {"q": scores}))
    for order in itertools.permutations(runs):
        fused = Fusion().fuse(order)["q"]
        assert fused.docids[:3] == ("z", "y", "x")
        assert len(set(fused.scores[:3].tolist())) == 1


def test_the_largest_scores_are_stretched_like_any_others() -> None:
    far = Run.from_scores("far", {"q": {"a": 1.5e308, "b": -1.5e308, "c": 0.0}})
    assert scores(Fusion("interpolate").fuse([far, far]), "q") == {"a": 2.0, "c": 1.0, "b": 0.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "rff"}, 'no fusion "rff"; expected rrf or interpolate; did you mean "rrf"'),
        ({"k": -1}, "k is -1; expected 0 or more"),
        ({"k": float("nan")}, "k is nan"),
        ({"weights": (1, 1)}, "weights are given for rrf"),
        ({"method": "interpolate", "weights": (0, 0)}, "not all 0"),
        ({"method": "interpolate", "weights": (1e308, 1e308)}, "a finite sum"),
        ({"method": "interpolate", "weights": (1, -1)}, "expected numbers ≥ 0"),
    ],
)
def test_values_that_cannot_be_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Fusion(**values)


def test_weights_must_be_as_many_as_runs_and_runs_at_least_two() -> None:
    with pytest.raises(UsageError, match="3 weights for 2 runs"):
        Fusion("interpolate", weights=(1, 1, 1)).fuse([A, B])
    with pytest.raises(UsageError, match="at least two runs, 1 given"):
        Fusion().fuse([A])
