"""Training curves: the loss of every recipe, and the validation measure on every backbone."""

from collections.abc import Callable, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from limbeck.report.curves import Curve, curve, mean_curve, smooth, stage_boundaries
from limbeck.report.formats import plural
from limbeck.report.paper.drawing import COLOURS, GREY, LINES, WIDTH, Drawing, NotDrawn
from limbeck.report.paper.scores import Scores

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
            Line2D([], [], color=_sign(place)[0], linestyle=_sign(place)[1], linewidth=1.5, label=line)  # type: ignore[arg-type]
            for place, line in enumerate(lines)
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
        colour, dashes = _sign(place)
        curves = lines[name]
        for one in curves if len(curves) > 1 else ():
            axes.plot(*one, color=colour, linewidth=0.5, alpha=0.3)
        if curves:
            steps, values = mean_curve(curves)
            axes.plot(
                steps, values, color=colour, linestyle=dashes, linewidth=1.4, marker="o" if len(steps) == 1 else None
            )


def _sign(place: int) -> tuple[str, str | tuple[int, tuple[float, ...]]]:
    turn, colour = divmod(place, len(COLOURS))
    return COLOURS[colour], LINES[(colour + turn) % len(LINES)]


def _thousands(value: float, _place: int | None = None) -> str:
    """
    >>> _thousands(200000), _thousands(40)
    ('200k', '40')
    """
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
