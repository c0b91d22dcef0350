"""Scaling curves: one measure over the sizes of a family of backbones."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

from limbeck.report.formats import plural
from limbeck.report.paper.drawing import COLOURS, INK, LINES, MARKERS, WIDTH, Drawing, NotDrawn
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
            Line2D([], [], **_sign(place), linewidth=1.4, markersize=4, label=recipe)  # type: ignore[arg-type]
            for place, recipe in enumerate(scores.recipes)
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 2 * across), handlelength=3)

    rows = -(-len(scores.recipes) // (2 * across))
    return Drawing(file, caption, (WIDTH * (0.2 + 0.8 * across / 3), 2.2 * down + 0.18 * rows), draw)


def _sign(place: int) -> dict[str, object]:
    turn, colour = divmod(place, len(COLOURS))
    sign = (colour + turn) % len(LINES)
    return {
        "color": COLOURS[colour],
        "linestyle": LINES[sign],
        "marker": MARKERS[(colour + turn) % len(MARKERS)],
    }


def _draw_panel(axes: Axes, scores: Scores, column: Column, names: list[str]) -> None:
    for place, recipe in enumerate(scores.recipes):
        found = [(scores.sizes[name], scores.score(name, recipe, column)) for name in names]
        there = [(x, score.mean, score.half) for x, score in found if x is not None and score.mean is not None]
        if not there:
            continue
        sign = _sign(place)
        axes.plot([x for x, _, _ in there], [mean for _, mean, _ in there], linewidth=1.4, markersize=3.6, **sign)  # type: ignore[arg-type]
        for x, mean, half in there:
            if half is not None:
                axes.plot([x, x], [mean - half, mean + half], color=str(sign["color"]), linewidth=0.9)
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
