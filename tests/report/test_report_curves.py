from collections.abc import Callable
from typing import Any

import numpy as np
from typed_results import typed

from limbeck.report.curves import POINTS, curve, loss, mean_curve, smooth, stage_boundaries
from limbeck.study.analysis.results import Recipe, Stage

Results = dict[str, Any]


def test_smoothing_keeps_a_constant_and_begins_anew_with_each_stage() -> None:
    steps = np.arange(1.0, 101.0)
    values = np.where(steps <= 60, 5.0, 1.0)
    np.testing.assert_allclose(smooth((steps, values), [60.0])[1], values)
    assert smooth((steps, values))[1][61] > 1.5


def test_a_curve_drops_gaps_and_a_mean_keeps_to_the_steps_that_all_seeds_reach() -> None:
    assert curve([(1, float("inf")), (2, float("nan"))]) is None
    one, other = curve([(0, 0.0), (10, 1.0), (20, 2.0)]), curve([(0, 2.0), (10, 3.0)])
    assert one is not None
    assert other is not None
    steps, values = mean_curve([one, other])
    assert (steps.tolist(), values.tolist()) == ([0.0, 10.0], [1.0, 2.0])


def test_a_run_that_broke_off_is_drawn_but_does_not_cut_the_mean_of_the_others_short(
    make_results: Callable[..., Results],
) -> None:
    results = make_results(recipes=("BCE",), seeds=3, collections=("scifact",), points=200)
    results["cells"][2].update(state="failed", curve=results["cells"][2]["curve"][:3])
    chart = loss(typed(results))
    assert chart is not None
    rows = chart.spec["data"]["values"]
    drawn = {seed: [row["x"] for row in rows if row.get("k") == seed] for seed in (1, 2, 3, "mean")}
    assert {seed: len(steps) for seed, steps in drawn.items()} == {1: POINTS, 2: POINTS, 3: 3, "mean": POINTS}
    assert (drawn["mean"][0], drawn["mean"][-1]) == (10, 400)


def test_a_dotted_line_stands_where_a_stage_ends(make_results: Callable[..., Results]) -> None:
    chart = loss(typed(make_results(recipes=("BCE", "Two-stage"))))
    assert chart is not None
    assert [row for row in chart.spec["data"]["values"] if "e" in row] == [{"p": "Two-stage", "x": 200.0, "e": True}]


def test_boundaries_lie_after_each_stage_but_the_last() -> None:
    def recipe(*steps: int | None) -> Recipe:
        stage = {"objective": "BCE", "lists": "judged", "signal": "labels", "sample": "", "epochs": 1.0}
        rest: dict[str, Any] = {**stage, "lists_per_step": 4, "learning_rate": 1e-5}
        return Recipe(name="recipe", stages=tuple(Stage(steps=count, **rest) for count in steps))

    assert stage_boundaries(recipe(200, 100, 50)) == [200.0, 300.0]
    assert stage_boundaries(recipe(None, 100)) == []
