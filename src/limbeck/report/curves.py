"""Curves as data: losses and validation over steps, smoothed; means over the size of backbones and over cost."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from limbeck.report.charts import (
    SHAPES,
    Chart,
    Spec,
    choices,
    colour,
    entries,
    grouped,
    names_of,
    tooltip_of,
    with_rows,
)
from limbeck.report.table import Table
from limbeck.study.analysis.results import Recipe, StudyResults
from limbeck.training.summary import TrainingSummary

Curve = tuple[np.ndarray, np.ndarray]
"""Steps [points], ascending, and values [points]."""


def curve(points: Sequence[tuple[float, float]]) -> Curve | None:
    """A recorded curve without its non-finite values; None where nothing is left."""
    kept = sorted((step, value) for step, value in points if math.isfinite(value))
    if not kept:
        return None
    steps, values = zip(*kept, strict=True)
    return np.array(steps, dtype=float), np.array(values, dtype=float)


def smooth(loss: Curve, boundaries: Sequence[float] = ()) -> Curve:
    """Exponential moving average, without bias at its start, over about a tenth of the points.

    It begins anew after each boundary: two stages minimise different functions, and a mean across them is neither's.
    """
    steps, values = loss
    weight = 2 / (max(1.0, len(steps) / 10) + 1)
    smoothed = np.empty_like(values)
    for inside in np.split(np.arange(len(steps)), np.searchsorted(steps, boundaries, side="right")):
        total = share = 0.0
        for place in inside:
            total += weight * (values[place] - total)
            share += weight * (1 - share)
            smoothed[place] = total / share
    return steps, smoothed


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Mean over seeds, at the first curve's steps which all curves reach; between points they are read linearly."""
    start = max(steps[0] for steps, _ in curves)
    end = min(steps[-1] for steps, _ in curves)
    steps = curves[0][0]
    steps = steps[(steps >= start) & (steps <= end)]
    return steps, np.mean([np.interp(steps, *one) for one in curves], axis=0) if len(steps) else steps


def stage_boundaries(recipe: Recipe) -> list[float]:
    """The last step of every stage but the last; none where the number of steps is unknown."""
    steps = [stage.steps for stage in recipe.stages if stage.steps is not None]
    return [float(end) for end in np.cumsum(steps)[:-1]] if len(steps) == len(recipe.stages) else []


POINTS = 60
"""Of a curve on a page: beyond that a panel of 300 pixels shows no more."""


def loss(results: StudyResults) -> Chart | None:
    """One panel per recipe, since losses of different objectives share no scale; a colour per backbone."""
    boundaries = {recipe.name: stage_boundaries(recipe) for recipe in results.recipes}
    rows = []
    for recipe, backbone, seed, one in _curves(results, "curve", boundaries):
        rows += [{"p": recipe, "n": backbone, "k": seed, **point} for point in _points(one)]
    ends = [{"p": name, "x": end, "e": True} for name, found in boundaries.items() for end in found]
    names = [each.name for each in results.backbones]
    return _panels("loss", "Training loss over steps, smoothed, a panel per recipe", rows, names, "backbone", ends)


def validation(results: StudyResults) -> Chart | None:
    """One panel per backbone, all on one scale; a colour per recipe."""
    rows = []
    for recipe, backbone, seed, one in _curves(results, "validation", {}):
        rows += [{"p": backbone, "n": recipe, "k": seed, **point} for point in _points(one)]
    names = [each.name for each in results.recipes]
    description = "Validation measure over steps, a panel per backbone"
    return _panels("validation", description, rows, names, "recipe", [])


def _curves(
    results: StudyResults, kind: Literal["curve", "validation"], boundaries: dict[str, list[float]]
) -> Iterator[tuple[str, str, int | str, Curve]]:
    """Every seed's curve, and as seed `mean` that of the finished ones: one that broke off would cut it short."""
    found: dict[tuple[str, str], list[tuple[int, bool, Curve]]] = {}
    for cell in results.cells:
        if (one := curve(getattr(cell, kind))) is not None:
            if kind == "curve":
                one = smooth(one, boundaries.get(cell.recipe, ()))
            kept = found.setdefault((cell.recipe, cell.backbone), [])
            kept.append((cell.seed, cell.state == "done", one))
    for (recipe, backbone), seeds in found.items():
        for seed, _, one in seeds if len(seeds) > 1 else ():
            yield recipe, backbone, seed, one
        finished = [one for _, done, one in seeds if done] or [one for *_, one in seeds]
        yield recipe, backbone, "mean", mean_curve(finished)


def _points(one: Curve) -> list[Spec]:
    steps, values = one
    if not len(steps):
        return []
    kept = np.unique(np.linspace(0, len(steps) - 1, min(POINTS, len(steps))).round().astype(int))
    return [{"x": int(steps[place]), "v": float(f"{values[place]:.5g}")} for place in kept]


def _panels(
    name: str, description: str, rows: list[Spec], names: Sequence[str], legend: str, ends: list[Spec]
) -> Chart | None:
    if not rows:
        return None
    x: dict[str, Any] = {"field": "x", "type": "quantitative", "title": "step", "axis": {"tickCount": 4}}
    y = {"field": "v", "type": "quantitative", "title": None, "scale": {"zero": False}}
    shared = {"x": x, "y": y, "color": colour("n", names, legend)}
    tooltip = [{"field": "n", "title": legend}, {"field": "k", "title": "seed"}, {"field": "x", "title": "step"},
               {"field": "v", "title": "value"}]  # fmt: skip
    layers: list[Spec] = [
        {
            "transform": [{"filter": "datum.k !== 'mean' && isValid(datum.v)"}],
            "mark": {"type": "line", "strokeWidth": 0.7, "opacity": 0.4},
            "encoding": {**shared, "detail": {"field": "k"}},
        },
        {
            "transform": [{"filter": "datum.k === 'mean'"}],
            "mark": {"type": "line", "strokeWidth": 1.9, "point": {"size": 12, "opacity": 0.01}},
            "encoding": {**shared, "tooltip": tooltip},
        },
    ]
    if ends:
        layers.insert(0, {"transform": [{"filter": "datum.e"}], "mark": {"type": "rule", "strokeDash": [2, 2]},
                          "encoding": {"x": x}})  # fmt: skip
    panels = list(dict.fromkeys(row["p"] for row in rows))
    spec = {
        "data": {"values": [*rows, *ends]},
        "facet": {"field": "p", "sort": panels, "title": None},
        "columns": 3,
        "spec": {"width": 270, "height": 170, "layer": layers},
        "resolve": {"scale": {"y": "independent" if name == "loss" else "shared"}, "axis": {"x": "independent"}},
    }
    return Chart(name, description, spec, 60 + 240 * -(-len(panels) // 3))


def scaling(results: StudyResults, table: Table) -> Chart | None:
    """Means over the number of weights, a line per recipe through the mean of equal sizes; None for a single size."""
    sizes = {each.name: each.parameters for each in results.backbones}
    rows = [
        {**facts, "v": entry.mean, "x": size / 1e6}
        for row, facts, entry in entries(table)
        if (size := sizes[row.backbone])
    ]
    if len({row["x"] for row in rows}) < 2:
        return None
    y = {"field": "v", "type": "quantitative", "scale": {"zero": False}, "title": None}
    spec = {
        **choices(table, measures=True),
        "height": 320,
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "scale": {"type": "log", "nice": False, "padding": 12},
                  "title": "million weights", "axis": {"format": ",.3~r", "tickCount": 6}},
            "color": colour("r", names_of(table, "recipe"), "recipe"),
        },
        "layer": [
            {"mark": "line", "encoding": {"y": {**y, "aggregate": "mean"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {
                    "y": y,
                    "tooltip": tooltip_of({"r": "recipe", "b": "backbone", "x": "million weights", "v": "mean"}),
                },
            },
        ],
    }  # fmt: skip
    return Chart(
        "scaling", "Means over the number of weights; a line joins the means of a recipe", with_rows(spec, rows), 400
    )


COSTS: dict[str, Callable[[TrainingSummary], float]] = {
    "training minutes": lambda training: training.seconds / 60,
    "million weights": lambda training: training.parameters / 1e6,
    "million tokens trained on": lambda training: training.tokens / 1e6,
}
"""What is spent, and how a training's summary says so."""


EQUAL_COST = 1.05
"""Costs within this ratio count as equal: the same training takes so much longer or shorter on another day."""


def cost(results: StudyResults, table: Table) -> Chart | None:
    """Means over what they cost, a panel for each cost that differs, with its Pareto front; None where none does."""
    spent: dict[tuple[str, str, str], list[float]] = {}
    latency = f"ms for a query ({results.latency})"
    latencies = {backbone.name: backbone.latency_ms for backbone in results.backbones if backbone.latency_ms}
    for cell in results.cells:
        for name, cost_of in COSTS.items():
            if cell.training:
                spent.setdefault((cell.backbone, cell.recipe, name), []).append(cost_of(cell.training))
        if cell.backbone in latencies:
            spent.setdefault((cell.backbone, cell.recipe, latency), []).append(latencies[cell.backbone])
    found: dict[str, list[Spec]] = {name: [] for name in (latency, *COSTS)}
    for row, facts, entry in entries(table, table.measures[:1]):
        for name, rows in found.items():
            if values := spent.get((row.backbone, row.recipe, name)):
                rows.append({**facts, "v": entry.mean, "k": name, "x": sum(values) / len(values)})
    differing = {
        name: rows
        for name, rows in found.items()
        if rows and max(row["x"] for row in rows) > EQUAL_COST * min(row["x"] for row in rows)
    }
    if not differing:
        return None
    rows = [row for some in differing.values() for row in some]
    for some in grouped(rows, ("c", "k")):
        for one, on_front in zip(some, pareto_front([(one["x"], one["v"]) for one in some]), strict=True):
            one["front"] = on_front
    x = {"field": "x", "type": "quantitative", "scale": {"type": "log", "nice": False, "padding": 12},
         "title": None, "axis": {"format": ",.3~r", "tickCount": 4}}  # fmt: skip
    y = {"field": "v", "type": "quantitative", "scale": {"zero": False}, "title": table.measures[0]}
    layers: list[Spec] = [
        {
            "transform": [{"filter": "datum.front"}],
            "mark": {"type": "line", "interpolate": "step-after", "color": "#8A8A8A", "strokeDash": [4, 3]},
            "encoding": {"x": x, "y": y, "order": {"field": "x"}},
        },
        {
            "mark": {"type": "point", "size": 60, "filled": True, "opacity": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": colour("r", names_of(table, "recipe"), "recipe"),
                "shape": {"field": "b", "sort": None, "title": "backbone",
                          "scale": {"domain": names_of(table, "backbone"), "range": list(SHAPES)}},
                "tooltip": tooltip_of({"r": "recipe", "b": "backbone", "x": "cost", "v": "mean"}),
            },
        },
    ]  # fmt: skip
    # The label of a panel stands where an axis has its title, and is one: Vega-Lite has no axis title that changes.
    header = {"labelOrient": "bottom", "labelFontWeight": "normal", "labelFontSize": 11, "labelPadding": 10}
    spec = {
        **choices(table, measures=False),
        "data": {"values": rows},
        "facet": {"field": "k", "sort": list(differing), "title": None, "header": header},
        "columns": 3,
        "spec": {"width": 270, "height": 240, "layer": layers},
        "resolve": {"scale": {"x": "independent"}, "axis": {"x": "independent"}},
    }
    description = (
        "Means over cost; the dashed line is the Pareto front, of systems that none of lower or equal cost (within "
        f"{EQUAL_COST - 1:.0%}) surpasses"
    )
    return Chart("cost", description, spec, 120 + 330 * -(-len(differing) // 3))


def pareto_front(systems: Sequence[tuple[float, float]]) -> list[bool]:
    """Which systems (cost, quality) none of lower or equal cost surpasses; of costs that count as equal, the best one.

    >>> pareto_front([(1.0, 0.5), (1.02, 0.6), (2.0, 0.55), (3.0, 0.7)])
    [False, True, False, True]
    """
    return [
        not any(
            other_cost <= EQUAL_COST * cost and (quality < other or (quality == other and other_cost < cost))
            for other_cost, other in systems
        )
        for cost, quality in systems
    ]
