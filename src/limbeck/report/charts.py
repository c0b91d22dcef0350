"""Charts of a page as Vega-Lite: what recipes reach, how far that is from the first stage, and how they rank."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.evaluation import LEVEL, Ranks, mean_ranks
from limbeck.evaluation.statistics.comparison import ENOUGH_COLLECTIONS
from limbeck.report.formats import p_is
from limbeck.report.table import Row, Table

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
        for row, facts, entry in entries(table)
    ]
    if not rows:
        return None
    for some in grouped(rows, ("c", "m")):
        low, high = min(row["v"] for row in some), max(row["v"] for row in some)
        for row in some:
            row["dark"] = row["v"] > low + 0.55 * (high - low)
    backbones = names_of(table, "backbone")
    cell = {
        # Labels lean to the left, where there is room beside the backbones' names; to the right the last one is cut.
        "x": {"field": "r", "sort": None, "title": None,
              "axis": {"labelAngle": 30, "labelAlign": "right", "orient": "top"}},
        "y": {"field": "b", "sort": None, "title": None},
    }  # fmt: skip
    tooltip = tooltip_of({"r": "recipe", "b": "backbone", "c": "on", "m": "measure", "t": "mean"})
    spec = {
        **choices(table, measures=True),
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
    return Chart("heat", "Means of every recipe on every backbone", with_rows(spec, rows), 34 * len(backbones) + 130)


def differences(table: Table) -> Chart | None:
    """The difference of every recipe to the first stage with its 95 % interval; filled where significant."""
    rows = [
        {**facts, "v": entry.difference, "lo": entry.low, "hi": entry.high, "s": bool(entry.mark)}
        for row, facts, entry in entries(table)
        if entry.difference is not None
    ]
    if not rows:
        return None
    backbones = names_of(table, "backbone")
    height = len(names_of(table, "recipe")) * max(28, 11 * len(backbones))
    coloured = colour("b", backbones, "backbone")
    shared: Spec = {
        "y": {"field": "r", "sort": None, "title": None},
        "yOffset": {"field": "b", "sort": None},
        "color": coloured,
    }
    spec = {
        **choices(table, measures=True),
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
                    "tooltip": tooltip_of(
                        {"r": "recipe", "b": "backbone", "v": "difference", "lo": "from", "hi": "to"}
                    ),
                },
            },
        ],
    }  # fmt: skip
    return Chart(
        "differences",
        "Differences to the first stage with 95 % intervals; filled where significant",
        with_rows(spec, rows),
        height + 110,
    )


def entries(table: Table, measures: Sequence[str] = ()) -> Iterator[tuple[Row, Spec, Any]]:
    """Every entry of a recipe that has a mean, with the names that choose it."""
    for row in table.of_kind("recipe"):
        for column in table.columns:
            for measure in measures or table.measures:
                entry = row.entry(column, measure)
                if entry.mean is not None:
                    yield row, {"r": row.recipe, "b": row.backbone, "c": column, "m": measure}, entry


def names_of(table: Table, kind: str) -> list[str]:
    return list(dict.fromkeys(getattr(row, kind) for row in table.of_kind("recipe")))


def grouped(rows: Sequence[Spec], keys: Sequence[str]) -> Iterator[list[Spec]]:
    groups: dict[tuple[Any, ...], list[Spec]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    yield from groups.values()


def choices(table: Table, measures: bool) -> Spec:
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


def tooltip_of(names: Mapping[str, str]) -> list[Spec]:
    numbers = {"v": ".3f", "lo": "+.3f", "hi": "+.3f", "x": ",.4~r"}
    return [
        {
            "field": field,
            "title": title,
            **({"format": numbers[field], "type": "quantitative"} if field in numbers else {}),
        }
        for field, title in names.items()
    ]


def with_rows(spec: Spec, rows: Sequence[Spec]) -> Spec:
    return {"data": {"values": list(rows)}, "width": "container", "autosize": FIT, **spec}


def rank_recipes(table: Table) -> tuple[list[str], Ranks] | str:
    """Recipes and their ranks by the mean over backbones on every collection; or the reason why there are none.

    Only recipes that have every seed on every backbone and collection take part.
    """
    if len(table.collections) < ENOUGH_COLLECTIONS:
        return (
            f"Ranks of recipes need {ENOUGH_COLLECTIONS} collections or more; this study has {len(table.collections)}."
        )
    measure = table.measures[0]
    backbones = {row.backbone for row in table.of_kind("recipe")}
    whole = {
        recipe: rows
        for recipe in dict.fromkeys(row.recipe for row in table.of_kind("recipe"))
        if len(rows := [row for row in table.of_kind("recipe") if row.recipe == recipe]) == len(backbones)
        and all(row.entry(name, measure).complete for row in rows for name in table.collections)
    }
    if len(whole) < 3:
        return f"Ranks need three recipes that are finished everywhere; this study has {len(whole)}."
    values = [
        [sum(row.entry(name, measure).mean or 0.0 for row in rows) / len(rows) for rows in whole.values()]
        for name in table.collections
    ]
    return list(whole), mean_ranks(values)


def ranks_note(ranks: Ranks, collections: int) -> str:
    return (
        f"Friedman's test that all recipes rank alike over {collections} collections: {p_is(ranks.friedman_p)}. Two "
        f"mean ranks further apart than {ranks.critical_difference:.2f} differ (Nemenyi, α = {LEVEL:g}, all pairs; "
        "Demšar 2006). A vertical bar joins recipes of which no two differ."
    )


def rank_chart(names: list[str], ranks: Ranks) -> Chart:
    order = sorted(range(len(names)), key=lambda place: ranks.means[place])
    best = min(ranks.means)
    points = [{"n": names[place], "x": ranks.means[place], "best": 1} for place in order]
    bars = [
        {"n": names[group[0]], "to": names[group[-1]], "x": len(names) + 0.4 * (number + 1)}
        for number, group in enumerate(ranks.groups)
    ]
    y = {"field": "n", "sort": [names[place] for place in order], "title": None, "type": "ordinal"}
    width = len(names) + 0.4 * (len(bars) + 1)
    x = {"field": "x", "type": "quantitative", "title": "mean rank (1 is best)",
         "axis": {"values": list(range(1, len(names) + 1)), "format": "d"},
         "scale": {"domain": [1, width], "nice": False}}  # fmt: skip
    spec = {
        "width": "container",
        "height": 28 * len(names),
        "autosize": FIT,
        "data": {"values": points},
        "layer": [
            {
                "mark": {"type": "rule", "opacity": 0.25},
                "encoding": {"y": y, "x": {**x, "field": "best"}, "x2": {"field": "x"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1, "color": "#1F83C0"},
                "encoding": {"y": y, "x": x, "tooltip": [{"field": "n", "title": "recipe"},
                                                         {"field": "x", "title": "mean rank", "format": ".2f"}]},
            },
            {
                "data": {"values": bars},
                "mark": {"type": "rule", "strokeWidth": 5, "strokeCap": "round", "color": "#D55E00"},
                "encoding": {"y": y, "y2": {"field": "to"}, "x": x},
            },
            {
                "data": {"values": [{"x": best, "to": best + ranks.critical_difference, "n": names[order[0]]}]},
                "mark": {"type": "rule", "strokeWidth": 2, "yOffset": -11, "color": "#8A8A8A"},
                "encoding": {"x": x, "x2": {"field": "to"}, "y": y},
            },
        ],
    }  # fmt: skip
    return Chart("ranks", "Mean ranks of recipes over collections", spec, 28 * len(names) + 80)
