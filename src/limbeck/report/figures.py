"""The figures of a report: loss, validation measure, and differences to the first stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from limbeck.report.curves import Curve, curve, mean_curve, smooth, stage_boundaries
from limbeck.report.formats import plural
from limbeck.report.svg import INK, Key, Panel, draw_panel, keys, shorten
from limbeck.report.table import Results, Row, Table

_CURVE_SIZE = (4.0, 2.5)
_WIDTH = 4.0


@dataclass(frozen=True)
class Trace:
    """One run's curve. A run that broke off is drawn, but has no part in the mean, which it would cut short."""

    curve: Curve
    finished: bool


def backbone_keys(results: Results) -> dict[str, Key]:
    return keys(_names(results, "backbone"))


def recipe_keys(results: Results) -> dict[str, Key]:
    return keys(_names(results, "recipe"))


def loss_panels(results: Results) -> list[Panel]:
    """One panel per recipe, since losses of different objectives share no scale; a colour per backbone."""
    panels = []
    legend = backbone_keys(results)
    for place, recipe in enumerate(results["recipes"]):
        boundaries = stage_boundaries(recipe)
        lines = {
            name: [
                replace(trace, curve=smooth(trace.curve, boundaries))
                for trace in _traces(results, name, recipe["name"], "curve")
            ]
            for name in legend
        }
        if not (count := sum(map(len, lines.values()))):
            continue
        description = f"Training loss of {recipe['name']} over steps, smoothed, {plural(count, 'run')}"
        panels.append(
            draw_panel(
                f"loss-{place}",
                recipe["name"],
                description,
                _CURVE_SIZE,
                lambda axes, lines=lines, boundaries=boundaries: _draw_lines(  # type: ignore[misc]
                    axes, lines, legend, "loss", boundaries
                ),
            )
        )
    return panels


def validation_panels(results: Results) -> list[Panel]:
    """One panel per backbone; a colour and a dash per recipe; all panels on one scale."""
    legend = recipe_keys(results)
    panels = []
    everything = {
        backbone: {name: _traces(results, backbone, name, "validation") for name in legend}
        for backbone in backbone_keys(results)
    }
    values = [value for lines in everything.values() for some in lines.values() for t in some for value in t.curve[1]]
    measure = next(
        (cell["training"]["measure"] for cell in results["cells"] if (cell.get("training") or {}).get("measure")),
        results["measures"][0],
    )
    for place, (backbone, lines) in enumerate(everything.items()):
        if not any(lines.values()):
            continue

        def draw(axes: Axes, lines: Mapping[str, Sequence[Trace]] = lines) -> None:
            _draw_lines(axes, lines, legend, f"validation {measure}", ())
            margin = 0.05 * (max(values) - min(values)) or 0.01
            axes.set_ylim(min(values) - margin, max(values) + margin)

        description = f"Validation {measure} over steps on {backbone}, a line per recipe"
        panels.append(draw_panel(f"validation-{place}", backbone, description, _CURVE_SIZE, draw))
    return panels


def difference_panels(results: Results, table: Table) -> list[Panel]:
    """One panel per collection, all on one scale: difference to the first stage with its 95 % interval, per recipe."""
    legend = backbone_keys(results)
    measure = table.measures[0]
    recipes = list(dict.fromkeys(row.recipe for row in table.of_kind("recipe")))
    entries = [
        entry
        for row in table.of_kind("recipe")
        for name in table.collections
        if (entry := row.entry(name, measure)).difference is not None
    ]
    if not entries:
        return []
    ends = [end for e in entries for end in (e.low, e.high, e.difference, 0.0) if end is not None]
    margin = 0.06 * (max(ends) - min(ends)) or 0.01
    limits = (min(ends) - margin, max(ends) + margin)
    height = 0.75 + len(recipes) * max(0.27, 0.17 * len(legend))
    panels = []
    for place, collection in enumerate(table.collections):
        description = (
            f"Difference in {measure} to the first stage on {collection}, with 95 % intervals, "
            "per recipe and backbone; the numbers are in the table of this collection"
        )

        def draw(axes: Axes, collection: str = collection) -> None:
            _draw_differences(axes, table, collection, recipes, legend)
            axes.set_xlim(*limits)
            axes.set_xlabel(f"difference in {measure}")

        panels.append(draw_panel(f"differences-{place}", collection, description, (_WIDTH, height), draw))
    return panels


def _names(results: Results, kind: str) -> list[str]:
    """The declared names, then those that only a cell has."""
    declared = [each["name"] for each in results[f"{kind}s"]]
    return list(dict.fromkeys([*declared, *(cell[kind] for cell in results["cells"])]))


def _traces(results: Results, backbone: str, recipe: str, kind: str) -> list[Trace]:
    cells: list[Mapping[str, Any]] = [c for c in results["cells"] if (c["backbone"], c["recipe"]) == (backbone, recipe)]
    return [Trace(one, cell["state"] == "done") for cell in cells if (one := curve(cell.get(kind))) is not None]


def _draw_lines(
    axes: Axes,
    lines: Mapping[str, Sequence[Trace]],
    legend: Mapping[str, Key],
    label: str,
    boundaries: Sequence[float],
) -> None:
    for boundary in boundaries:
        axes.axvline(boundary, color="#8b929a", linewidth=0.8, linestyle=(0, (2, 2)))
    for name, traces in lines.items():
        key = legend[name]
        for trace in traces if len(traces) > 1 else ():
            axes.plot(*trace.curve, color=key.colour, linewidth=0.7, alpha=0.35)
        if traces:
            finished = [trace.curve for trace in traces if trace.finished]
            steps, values = mean_curve(finished or [trace.curve for trace in traces])
            dot = key.marker if len(steps) == 1 else None
            axes.plot(steps, values, color=key.colour, linestyle=key.linestyle, linewidth=1.9, marker=dot, markersize=4)
    axes.set_xlabel("step")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _draw_differences(
    axes: Axes, table: Table, collection: str, recipes: Sequence[str], legend: Mapping[str, Key]
) -> None:
    axes.axvline(0, color=INK, linewidth=1)
    rows: dict[tuple[str, str], Row] = {(row.backbone, row.recipe): row for row in table.of_kind("recipe")}
    spread = 0.6 / len(legend)
    for (backbone, recipe), row in rows.items():
        entry = row.entry(collection, table.measures[0])
        if entry.difference is None:
            continue
        key = legend[backbone]
        shift = (list(legend).index(backbone) - (len(legend) - 1) / 2) * spread
        y = recipes.index(recipe) + shift
        if entry.low is not None and entry.high is not None:
            axes.plot([entry.low, entry.high], [y, y], color=key.colour, linewidth=1.5, solid_capstyle="round")
        face = key.colour if entry.mark else "#ffffff"
        axes.plot(
            [entry.difference], [y], key.marker, color=key.colour, markerfacecolor=face, markersize=5.5,
            markeredgewidth=1.4,
        )  # fmt: skip
    axes.set_yticks(range(len(recipes)), [shorten(name, 22) for name in recipes], parse_math=False)
    axes.set_ylim(len(recipes) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
