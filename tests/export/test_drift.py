"""Drift is what it says, on values that can be checked by hand."""

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.export import drift
from limbeck.runs import Run, rank


def run(name: str, *scores: tuple[float, ...]) -> Run:
    docids = [f"d{n}" for n in range(len(scores[0]))]
    return Run(name, {f"q{n}": rank(docids, np.array(of_query)) for n, of_query in enumerate(scores)})


def collection(judged: bool) -> Collection:
    qrels = {"q0": {"d2": 1}, "q1": {"d0": 1}} if judged else {}
    return Collection("c", {f"d{n}": "x" for n in range(3)}, {"q0": "x", "q1": "y"}, qrels, ("q0", "q1"))


def test_an_equal_model_does_not_drift() -> None:
    own = run("own", (3, 2, 1), (1, 2, 3))
    found = drift(own, own, collection(True))
    assert (found.pairs, found.queries, found.largest, found.average, found.tau) == (6, 2, 0, 0, 1)
    assert found.before == found.after


def test_differences_rankings_and_measures_are_compared_by_document() -> None:
    # q0: one of three pairs of documents changes places, τ = 1/3, and the relevant d2 comes from third to second place.
    found = drift(run("own", (3, 2, 1), (3, 2, 1)), run("other", (3, 0.5, 1), (3, 2, 1)), collection(True))
    assert found.largest == 1.5
    assert found.average == pytest.approx(1.5 / 6)
    assert found.spread == pytest.approx(np.std([1, 2, 3]))
    assert found.tau == pytest.approx((1 / 3 + 1) / 2)
    assert found.before == pytest.approx((0.5 + 1) / 2)
    assert found.after == pytest.approx((1 / np.log2(3) + 1) / 2)


def test_without_judgments_or_an_order_nothing_is_made_up() -> None:
    own = run("own", (1, 1, 1))
    found = drift(own, own, collection(False))
    assert (found.tau, found.before, found.after) == (None, None, None)
