"""The charts of a page as Vega-Lite: what recipes and backbones reach, at which cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.report.table import Row, Table
from limbeck.study.analysis.results import StudyResults
from limbeck.training.summary import TrainingSummary

Spec = dict[str, Any]

# Okabe and Ito (2008), told apart under the common kinds of colour blindness; its blue lighter, and violet, grey and
# brown for yellow and black, which vanish on white or on black paper.
COLOURS = ("#1F83C0", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#8A8A8A", "#A6761D")
FIT = {"type": "fit-x", "contains": "padding"}
SHAPES = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "triangle-down",
    "cross",
    "triangle-left",
    "triangle-right",
    "M0,-0.6L0.57,-0.19L0.35,0.49L-0.35,0.49L-0.57,-0.19Z",
)


@dataclass(frozen=True)
class Chart:
    """`spec` is Vega-Lite; `description` says in words what it shows; `height` in pixels is kept free for it."""

    name: str
    description: str
    spec: Spec
    height: int


def heat_map(table: Table) -> Chart | None:
    """Backbones × recipes, coloured by the mean, with its mark."""
    rows = [
        {**facts, "v": entry.mean, "t": f"{entry.mean:.3f}{f' {entry.mark}' if entry.mark else ''}"}
        for row, facts, entry in _entries(table)
    ]
    if not rows:
        return None
    for some in _grouped(rows, ("c", "m")):
        low, high = min(row["v"] for row in some), max(row["v"] for row in some)
        for row in some:
            row["dark"] = row["v"] > low + 0.55 * (high - low)
    backbones = _names(table, "backbone")
    cell = {
        "x": {"field": "r", "sort": None, "title": None, "axis": {"labelAngle": -30, "orient": "top"}},
        "y": {"field": "b", "sort": None, "title": None},
    }
    tooltip = _tooltip({"r": "recipe", "b": "backbone", "c": "on", "m": "measure", "t": "mean"})
    spec = {
        **_choices(table, measures=True),
        "height": 34 * len(backbones),
        "layer": [
            {
                "mark": {"type": "rect", "tooltip": True},
                "encoding": {
                    **cell,
                    "color": {"field": "v", "type": "quantitative", "scale": {"scheme": "blues", "zero": False},
                              "legend": None},
                    "tooltip": tooltip,
                },
            },
            {
                "mark": {"type": "text"},
                "encoding": {
                    **cell,
                    "text": {"field": "t"},
                    "color": {"condition": {"test": "datum.dark", "value": "#ffffff"}, "value": "#10202c"},
                },
            },
        ],
    }  # fmt: skip
    return Chart("heat", "Means of every recipe on every backbone", _with(spec, rows), 34 * len(backbones) + 130)


def differences(table: Table) -> Chart | None:
    """The difference of every recipe to the first stage with its 95 % interval; filled where significant."""
    rows = [
        {**facts, "v": entry.difference, "lo": entry.low, "hi": entry.high, "s": bool(entry.mark)}
        for row, facts, entry in _entries(table)
        if entry.difference is not None
    ]
    if not rows:
        return None
    backbones = _names(table, "backbone")
    height = len(_names(table, "recipe")) * max(28, 11 * len(backbones))
    coloured = colour("b", backbones, "backbone")
    shared: Spec = {
        "y": {"field": "r", "sort": None, "title": None},
        "yOffset": {"field": "b", "sort": None},
        "color": coloured,
    }
    spec = {
        **_choices(table, measures=True),
        "height": height,
        "layer": [
            {"mark": "rule", "encoding": {"x": {"datum": 0}}},
            {
                "mark": {"type": "rule", "strokeWidth": 1.6},
                "encoding": {**shared, "x": {"field": "lo", "type": "quantitative",
                                             "title": "difference to the first stage"}, "x2": {"field": "hi"}},
            },
            {
                "mark": {"type": "point", "size": 60, "opacity": 1, "filled": True, "strokeWidth": 1.6},
                "encoding": {
                    **shared,
                    "stroke": {**coloured, "legend": None},
                    "x": {"field": "v", "type": "quantitative"},
                    "fillOpacity": {"condition": {"test": "datum.s", "value": 1}, "value": 0},
                    "tooltip": _tooltip({"r": "recipe", "b": "backbone", "v": "difference", "lo": "from", "hi": "to"}),
                },
            },
        ],
    }  # fmt: skip
    return Chart(
        "differences",
        "Differences to the first stage with 95 % intervals; filled where significant",
        _with(spec, rows),
        height + 110,
    )


def scaling(results: StudyResults, table: Table) -> Chart | None:
    """Means over the number of weights, a line per recipe through the mean of equal sizes; None for a single size."""
    sizes = {each.name: each.parameters for each in results.backbones}
    rows = [
        {**facts, "v": entry.mean, "x": size / 1e6}
        for row, facts, entry in _entries(table)
        if (size := sizes[row.backbone])
    ]
    if len({row["x"] for row in rows}) < 2:
        return None
    y = {"field": "v", "type": "quantitative", "scale": {"zero": False}, "title": None}
    spec = {
        **_choices(table, measures=True),
        "height": 320,
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "scale": {"type": "log", "nice": False, "padding": 12},
                  "title": "million weights", "axis": {"format": ",.3~r", "tickCount": 6}},
            "color": colour("r", _names(table, "recipe"), "recipe"),
        },
        "layer": [
            {"mark": "line", "encoding": {"y": {**y, "aggregate": "mean"}}},
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {
                    "y": y,
                    "tooltip": _tooltip({"r": "recipe", "b": "backbone", "x": "million weights", "v": "mean"}),
                },
            },
        ],
    }  # fmt: skip
    return Chart(
        "scaling", "Means over the number of weights; a line joins the means of a recipe", _with(spec, rows), 400
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
    for cell in results.cells:
        for name, cost_of in COSTS.items():
            if cell.training:
                spent.setdefault((cell.backbone, cell.recipe, name), []).append(cost_of(cell.training))
    found: dict[str, list[Spec]] = {name: [] for name in COSTS}
    for row, facts, entry in _entries(table, table.measures[:1]):
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
    for some in _grouped(rows, ("c", "k")):
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
                "color": colour("r", _names(table, "recipe"), "recipe"),
                "shape": {"field": "b", "sort": None, "title": "backbone",
                          "scale": {"domain": _names(table, "backbone"), "range": list(SHAPES)}},
                "tooltip": _tooltip({"r": "recipe", "b": "backbone", "x": "cost", "v": "mean"}),
            },
        },
    ]  # fmt: skip
    # The label of a panel stands where an axis has its title, and is one: Vega-Lite has no axis title that changes.
    header = {"labelOrient": "bottom", "labelFontWeight": "normal", "labelFontSize": 11, "labelPadding": 10}
    spec = {
        **_choices(table, measures=False),
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


def _entries(table: Table, measures: Sequence[str] = ()) -> Iterator[tuple[Row, Spec, Any]]:
    """Every entry of a recipe that has a mean, with the names that choose it."""
    for row in table.of_kind("recipe"):
        for column in table.columns:
            for measure in measures or table.measures:
                entry = row.entry(column, measure)
                if entry.mean is not None:
                    yield row, {"r": row.recipe, "b": row.backbone, "c": column, "m": measure}, entry


def _names(table: Table, kind: str) -> list[str]:
    return list(dict.fromkeys(getattr(row, kind) for row in table.of_kind("recipe")))


def _grouped(rows: Sequence[Spec], keys: Sequence[str]) -> Iterator[list[Spec]]:
    groups: dict[tuple[Any, ...], list[Spec]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    yield from groups.values()


def _choices(table: Table, measures: bool) -> Spec:
    """Selection of a suite or collection and, if asked for, of a measure."""
    params = [_choice("column", "on", table.columns)]
    transform = [{"filter": "datum.c === column"}]
    if measures:
        params.append(_choice("measure", "measure", table.measures))
        transform.append({"filter": "datum.m === measure"})
    return {"params": params, "transform": transform}


def _choice(name: str, label: str, options: Sequence[str]) -> Spec:
    bound = {"bind": {"input": "select", "options": list(options), "name": f"{label} "}} if len(options) > 1 else {}
    return {"name": name, "value": options[0], **bound}


def colour(field: str, names: Sequence[str], title: str) -> Spec:
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(names))]
    return {"field": field, "sort": None, "title": title, "scale": {"domain": list(names), "range": colours}}


def _tooltip(names: Mapping[str, str]) -> list[Spec]:
    numbers = {"v": ".3f", "lo": "+.3f", "hi": "+.3f", "x": ",.4~r"}
    return [
        {
            "field": field,
            "title": title,
            **({"format": numbers[field], "type": "quantitative"} if field in numbers else {}),
        }
        for field, title in names.items()
    ]


def _with(spec: Spec, rows: Sequence[Spec]) -> Spec:
    return {"data": {"values": list(rows)}, "width": "container", "autosize": FIT, **spec}
