"""Curves: means over the size of backbones, losses and validation over steps."""

from collections.abc import Callable, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import LineStyleType

from limbeck.core.errors import plural
from limbeck.report.curves import Curve, curve, mean_curve, smooth, stage_boundaries
from limbeck.report.paper.drawing import COLOURS, GREY, INK, LINES, MARKERS, WIDTH, Drawing, NotDrawn
from limbeck.report.paper.scores import Column, Scores, family, hub_id, size_text


def scaling_curves(scores: Scores) -> list[Drawing | NotDrawn]:
    """One figure per family with three sizes or more: a panel per aggregate, a line per recipe, sizes on a log axis."""
    families: dict[str, list[str]] = {}
    models = {each.name: hub_id(each, scores.rehearsal) for each in scores.results.backbones}
    for name, parameters in scores.sizes.items():
        if parameters:
            families.setdefault(family(models[name]), []).append(name)
    found: list[Drawing | NotDrawn] = [
        _curve(scores, model, names)
        for model, names in families.items()
        if len({scores.sizes[name] for name in names}) > 2
    ]
    return found or [NotDrawn("scaling", "no family of backbones was trained in three sizes or more")]


def _curve(scores: Scores, model: str, names: list[str]) -> Drawing | NotDrawn:
    file = f"scaling-{model.split('/')[-1].lower()}"
    columns = [c for c in scores.aggregates if any(scores.score(n, r, c).values for n in names for r in scores.recipes)]
    if not columns:
        return NotDrawn(file, f"no cell of {model} has a value of {scores.measure}")
    caption = (
        f"{scores.measure} over the parameters of {model} (log axis): means over {plural(scores.seeds, 'seed')}"
        + (", with Student's 95 % intervals over seeds." if scores.seeds > 1 else "; one seed has no interval.")
        + " Dotted: the first stage alone. The measure's axis does not start at zero."
    )
    across = min(3, len(columns))
    down = -(-len(columns) // across)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(down, across, squeeze=False)
        for axes, column in zip(panels.flat, columns, strict=False):
            _draw_panel(axes, scores, column, names)
        for axes in panels.flat[len(columns) :]:
            axes.set_visible(False)
        for row in panels:
            row[0].set_ylabel(scores.measure)
        handles = [
            Line2D([], [], color=colour, linestyle=dashes, marker=marker, linewidth=1.4, markersize=4, label=recipe)
            for place, recipe in enumerate(scores.recipes)
            for colour, dashes, marker in [_sign(place)]
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 2 * across), handlelength=3)

    rows = -(-len(scores.recipes) // (2 * across))
    return Drawing(file, caption, (WIDTH * (0.2 + 0.8 * across / 3), 2.2 * down + 0.18 * rows), draw)


def _sign(place: int) -> tuple[str, LineStyleType, str]:
    """Colour, dashes and marker of a recipe or backbone by its place."""
    turn, colour = divmod(place, len(COLOURS))
    return COLOURS[colour], LINES[(colour + turn) % len(LINES)], MARKERS[(colour + turn) % len(MARKERS)]


def _draw_panel(axes: Axes, scores: Scores, column: Column, names: list[str]) -> None:
    for place, recipe in enumerate(scores.recipes):
        found = [(scores.sizes[name], scores.score(name, recipe, column)) for name in names]
        there = [(x, score.mean, score.half) for x, score in found if x is not None and score.mean is not None]
        if not there:
            continue
        colour, dashes, marker = _sign(place)
        xs, means = [x for x, _, _ in there], [mean for _, mean, _ in there]
        axes.plot(xs, means, color=colour, linestyle=dashes, marker=marker, linewidth=1.4, markersize=3.6)
        for x, mean, half in there:
            if half is not None:
                axes.plot([x, x], [mean - half, mean + half], color=colour, linewidth=0.9)
    first = scores.first_stage(column)
    if first is not None:
        axes.axhline(first, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.set_xscale("log")
    sizes = sorted({scores.sizes[name] or 0 for name in names})
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([size_text(parameters) for parameters in sizes])
    axes.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_title(column.label)
    axes.set_xlabel("parameters")


_ACROSS = 3


def training_curves(scores: Scores) -> list[Drawing | NotDrawn]:
    """A figure of losses, a panel per recipe; and one of validation, a panel per backbone."""
    return [_losses(scores), _validation(scores)]


def _losses(scores: Scores) -> Drawing | NotDrawn:
    boundaries = {recipe.name: stage_boundaries(recipe) for recipe in scores.results.recipes}
    panels = {
        recipe: {backbone: _curves(scores, backbone, recipe, "curve") for backbone in scores.backbones}
        for recipe in scores.recipes
    }
    if not any(lines for panel in panels.values() for lines in panel.values()):
        return NotDrawn("training-loss", "no training loss was recorded")
    caption = (
        "Training loss, smoothed over about a tenth of the points; losses of different objectives share no scale. "
        "Thin: single seeds; thick: their mean. Dotted: the end of a stage."
    )

    def draw(axes: Axes, recipe: str) -> None:
        for boundary in boundaries[recipe]:
            axes.axvline(boundary, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
        smoothed = {
            backbone: [smooth(one, boundaries[recipe]) for one in lines] for backbone, lines in panels[recipe].items()
        }
        _draw_lines(axes, smoothed, scores.backbones)
        axes.set_ylabel("loss")

    drawn = [recipe for recipe in scores.recipes if any(panels[recipe].values())]
    return _grid("training-loss", caption, drawn, scores.backbones, draw)


def _validation(scores: Scores) -> Drawing | NotDrawn:
    panels = {
        backbone: {recipe: _curves(scores, backbone, recipe, "validation") for recipe in scores.recipes}
        for backbone in scores.backbones
    }
    values = [value for panel in panels.values() for lines in panel.values() for one in lines for value in one[1]]
    if not values:
        return NotDrawn("validation", "no validation was recorded")
    measures = {cell.training.measure for cell in scores.results.cells if cell.training}
    measure = next(iter(sorted(filter(None, measures))), scores.measure)
    caption = (
        f"Validation {measure} while training, all panels on one scale, which does not start at zero. "
        "Thin: single seeds; thick: their mean."
    )
    margin = 0.05 * (max(values) - min(values)) or 0.01

    def draw(axes: Axes, backbone: str) -> None:
        _draw_lines(axes, panels[backbone], scores.recipes)
        axes.set_ylim(min(values) - margin, max(values) + margin)
        axes.set_ylabel(measure)

    drawn = [backbone for backbone in scores.backbones if any(panels[backbone].values())]
    return _grid("validation", caption, drawn, scores.recipes, draw)


def _curves(scores: Scores, backbone: str, recipe: str, kind: Literal["curve", "validation"]) -> list[Curve]:
    """Of finished cells: one that broke off would cut the mean short."""
    cells = [cell for cell in scores.cells(backbone, recipe) if cell.state == "done"]
    return [one for cell in cells if (one := curve(getattr(cell, kind))) is not None]


def _grid(
    name: str, caption: str, panels: Sequence[str], lines: Sequence[str], draw: Callable[[Axes, str], None]
) -> Drawing:
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    per_row = max(1, int(2.33 * across / (0.45 + 0.07 * max(map(len, lines)))))

    def draw_all(figure: Figure) -> None:
        places = figure.subplots(down, across, squeeze=False)
        for axes, panel in zip(places.flat, panels, strict=False):
            draw(axes, panel)
            axes.set_title(panel)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(FuncFormatter(_thousands))
            axes.yaxis.set_major_locator(MaxNLocator(5))
        for axes in places.flat[len(panels) :]:
            axes.set_visible(False)
        for row in places:
            for axes in row[1:]:
                axes.set_ylabel("")
        for place, axes in enumerate(places.flat[: len(panels)]):
            # The lowest panel of its column: the last row need not be full.
            if place + across >= len(panels):
                axes.set_xlabel("step")
        handles = [
            Line2D([], [], color=colour, linestyle=dashes, linewidth=1.5, label=line)
            for place, line in enumerate(lines)
            for colour, dashes, _ in [_sign(place)]
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(per_row, len(handles)), handlelength=3)

    rows = -(-len(lines) // per_row)
    return Drawing(
        name,
        f"{caption} {plural(len(panels), 'panel')}.",
        (WIDTH * across / 3, 1.75 * down + 0.18 * rows + 0.1),
        draw_all,
    )


def _draw_lines(axes: Axes, lines: dict[str, list[Curve]], names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        colour, dashes, _ = _sign(place)
        curves = lines[name]
        for one in curves if len(curves) > 1 else ():
            axes.plot(*one, color=colour, linewidth=0.5, alpha=0.3)
        if curves:
            steps, values = mean_curve(curves)
            axes.plot(
                steps, values, color=colour, linestyle=dashes, linewidth=1.4, marker="o" if len(steps) == 1 else None
            )


def _thousands(value: float, _place: int | None = None) -> str:
    """
    >>> _thousands(200000), _thousands(40)
    ('200k', '40')
    """
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
