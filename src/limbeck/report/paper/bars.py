"""Grouped bars: backbones by size, a bar per recipe; and the same by objective and training lists."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from limbeck.core.errors import plural
from limbeck.report.paper.drawing import COLOURS, HATCHES, INK, Drawing, NotDrawn
from limbeck.report.paper.scores import Column, Scores, size_text

_ROOM = 0.8  # of the way to the next backbone, shared by a backbone's bars


@dataclass(frozen=True)
class Bar:
    """How a recipe's bar looks in every group."""

    recipe: str
    label: str
    colour: str
    hatch: str


def bar_charts(scores: Scores) -> list[Drawing | NotDrawn]:
    """One chart per aggregate: a group per backbone, a bar per recipe."""
    turns = [divmod(place, len(COLOURS)) for place in range(len(scores.recipes))]
    bars = [
        Bar(name, name, COLOURS[colour], HATCHES[turn % len(HATCHES)])
        for name, (turn, colour) in zip(scores.recipes, turns, strict=True)
    ]
    return _charts("bars", scores, bars, "")


def negatives_charts(scores: Scores) -> list[Drawing | NotDrawn]:
    """The same, a colour per objective and a hatching per list source, where an objective was trained on several."""
    stages = {
        recipe.name: (recipe.stages[0].objective, recipe.stages[0].lists)
        for recipe in scores.results.recipes
        if len(recipe.stages) == 1
    }
    objectives = list(dict.fromkeys(objective for objective, _ in stages.values()))
    sources = list(dict.fromkeys(lists for _, lists in stages.values()))
    if len(set(stages.values())) == len(objectives):
        return [NotDrawn("negatives", "no objective was trained, in a single stage, on more than one list source")]
    bars = [
        Bar(
            name,
            f"{objective} · {lists}",
            COLOURS[objectives.index(objective) % len(COLOURS)],
            HATCHES[sources.index(lists) % len(HATCHES)],
        )
        for name, (objective, lists) in stages.items()
    ]
    return _charts("negatives", scores, bars, " A colour is an objective, a hatching the lists it was trained on.")


def _charts(kind: str, scores: Scores, bars: Sequence[Bar], remark: str) -> list[Drawing | NotDrawn]:
    return [_chart(kind, scores, column, bars, remark) for column in scores.aggregates]


def _chart(kind: str, scores: Scores, column: Column, bars: Sequence[Bar], remark: str) -> Drawing | NotDrawn:
    name = f"{kind}-{column.key.replace('/', '-')}"
    if not any(scores.score(backbone, bar.recipe, column).values for backbone in scores.backbones for bar in bars):
        return NotDrawn(name, f"no cell has a value of {scores.measure} on {column.label}")
    width = min(13.0, max(3.4, 0.9 + 0.105 * len(bars) * len(scores.backbones) + 0.12 * len(scores.backbones)))
    per_row = max(1, int(width / (0.55 + 0.075 * max(len(bar.label) for bar in bars))))
    caption = (
        f"{scores.measure} on {column.label} by backbone, smallest first, and recipe: means over "
        f"{plural(scores.seeds, 'seed')}"
        + (", with Student's 95 % intervals over seeds." if scores.seeds > 1 else "; one seed has no interval.")
        + " Dashed: the first stage alone."
        + remark
    )

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        drawn = [_draw_bars(axes, scores, column, bar, place, len(bars)) for place, bar in enumerate(bars)]
        handles: list[BarContainer | Line2D] = list(drawn)
        first = scores.first_stage(column)
        if first is not None:
            handles.append(
                axes.axhline(first, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=3, label="first stage")
            )
        axes.set_title(column.label)
        axes.set_ylabel(scores.measure)
        axes.set_xticks(range(len(scores.backbones)), [_tick(scores, name, width) for name in scores.backbones])
        axes.set_xlim(-0.5, len(scores.backbones) - 0.5)
        axes.set_ylim(0, _top(scores, column, bars))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.grid(visible=False, axis="x")
        axes.tick_params(axis="x", length=0)
        figure.legend(handles=handles, loc="outside upper center", ncols=min(per_row, len(handles)), handlelength=1.4)

    rows = -(-(len(bars) + 1) // per_row)
    return Drawing(name, caption, (width, 2.3 + 0.16 * rows), draw)


def _draw_bars(axes: Axes, scores: Scores, column: Column, bar: Bar, place: int, count: int) -> BarContainer:
    width = _ROOM / count
    centre = (place - (count - 1) / 2) * width
    found = [scores.score(backbone, bar.recipe, column) for backbone in scores.backbones]
    there = [(group + centre, score) for group, score in enumerate(found) if score.mean is not None]
    drawn = axes.bar(
        [x for x, _ in there], [score.mean or 0 for _, score in there], width, color=bar.colour, hatch=bar.hatch,
        edgecolor=INK if not bar.hatch else "#ffffff", linewidth=0.4, label=bar.label, zorder=2,
    )  # fmt: skip
    ends = [(x, score.mean, score.half) for x, score in there if score.mean is not None and score.half is not None]
    if ends:
        x, mean, half = map(np.array, zip(*ends, strict=True))
        axes.vlines(x, np.maximum(0.0, mean - half), mean + half, color=INK, linewidth=0.8, zorder=4)
    for group, score in enumerate(found):
        if score.planned and not score.complete:
            note = f"{len(score.values)}/{score.planned} seeds"
            axes.text(
                group + centre, 0, note, rotation=90, fontsize=5.5, color=INK, ha="center", va="bottom", zorder=5,
                bbox={"facecolor": "#ffffff", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
    return drawn


def _top(scores: Scores, column: Column, bars: Sequence[Bar]) -> float:
    """A little above what is drawn; an interval wider than its mean is cut there, so that the bars stay readable."""
    found = [scores.score(backbone, bar.recipe, column) for backbone in scores.backbones for bar in bars]
    means = [score.mean for score in found if score.mean is not None]
    most = 1.5 * max(means)
    ends = [min(score.mean + (score.half or 0), most) for score in found if score.mean is not None]
    return 1.06 * max(*ends, scores.first_stage(column) or 0, 1e-3)


def _tick(scores: Scores, backbone: str, width: float) -> str:
    parameters = scores.sizes[backbone]
    room = max(8, int(width / len(scores.backbones) * 15))
    name = backbone if len(backbone) <= room else backbone.replace("-", "-\n", 1)
    return f"{name}\n{size_text(parameters)}" if parameters else name
