"""The critical-difference diagram: mean ranks of recipes over collections, and which of them do not differ."""

from limbeck.evaluation import LEVEL, Ranks, mean_ranks
from limbeck.evaluation.statistics.comparison import ENOUGH_COLLECTIONS
from limbeck.report.charts import FIT, Chart
from limbeck.report.formats import p_is
from limbeck.report.table import Table


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
