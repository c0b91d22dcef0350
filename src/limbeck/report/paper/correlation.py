"""Is a cheap suite predictive? Each configuration's mean on it, against its mean on the large one."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from limbeck.collections.collection import suites
from limbeck.core.errors import plural
from limbeck.report.paper.drawing import COLOURS, INK, MARKERS, WIDTH, Drawing, NotDrawn
from limbeck.report.paper.scores import Score, Scores
from limbeck.report.table import finite

_SMALL = ("nanobeir", "minified")
_LARGE = "beir13"
_FEWEST = 4  # of fewer points no order is worth a coefficient
_DRAWS = 2000


@dataclass(frozen=True)
class Cheap:
    """A cheap measurement: what its axis says, what must be known of it, and each configuration's mean."""

    label: str
    remark: str
    means: dict[tuple[str, str], float]


def correlations(scores: Scores) -> list[Drawing | NotDrawn]:
    """One panel per cheap measurement there is: NanoBEIR and the small suite as tests, and what was validated on."""
    name, large = "correlation", scores.suite(_LARGE)
    if large is None:
        return [NotDrawn(name, "not all collections of BEIR-13 were tested on")]
    means = _means(scores, {key: scores.score(*key, large) for key in _configurations(scores)})
    panels = [
        (cheap, shared) for cheap in _cheap(scores) if len(shared := sorted(cheap.means.keys() & means)) >= _FEWEST
    ]
    if not panels:
        return [
            NotDrawn(
                name,
                f"no cheap suite (NanoBEIR, the small suite, validation) was measured on {_FEWEST} configurations "
                f"or more that have {scores.measure} on {large.label} too",
            )
        ]
    remarks = " ".join(dict.fromkeys(cheap.remark for cheap, _ in panels if cheap.remark))
    caption = (
        f"{scores.measure} on {large.label} against cheaper measurements: a point is a backbone and recipe, the mean "
        f"over {plural(scores.seeds, 'seed')}; τ is Kendall's, with a 95 % bootstrap interval over points. {remarks}"
    )

    def draw(figure: Figure) -> None:
        across = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (cheap, shared) in zip(across, panels, strict=True):
            x = np.array([cheap.means[key] for key in shared])
            y = np.array([means[key] for key in shared])
            _draw_points(axes, scores, shared, x, y)
            axes.set_xlabel(cheap.label)
        across[0].set_ylabel(f"{scores.measure} on {large.label}")
        handles = [
            Line2D([], [], linestyle="", marker="o", color=COLOURS[place % len(COLOURS)], markersize=4, label=recipe)
            for place, recipe in enumerate(scores.recipes)
        ]
        handles += [
            Line2D(
                [], [], linestyle="", marker=_marker(place), markerfacecolor="none", color=INK, markersize=4, label=each
            )
            for place, each in enumerate(scores.backbones)
        ]
        figure.legend(handles=handles, loc="outside right center", handletextpad=0.2)

    return [Drawing(name, caption.strip(), (min(WIDTH, 1.6 + 2.7 * len(panels)), 3.0), draw)]


def kendall(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Kendall's τ-b of x, y [points], and a 95 % percentile interval from points drawn anew (fixed seed)."""
    random = np.random.default_rng(0)
    drawn = [_tau(x[chosen], y[chosen]) for chosen in random.integers(0, len(x), (_DRAWS, len(x)))]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return _tau(x, y), float(low), float(high)


def _tau(x: np.ndarray, y: np.ndarray) -> float:
    across, down = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    scale = float(np.sqrt((across**2).sum() * (down**2).sum()))
    return float((across * down).sum()) / scale if scale else float("nan")


def _configurations(scores: Scores) -> list[tuple[str, str]]:
    return list(itertools.product(scores.backbones, scores.recipes))


def _means(scores: Scores, found: dict[tuple[str, str], Score]) -> dict[tuple[str, str], float]:
    """Of complete configurations only: fewer seeds would scatter more."""
    return {key: score.mean for key, score in found.items() if score.complete and score.mean is not None}


def _cheap(scores: Scores) -> list[Cheap]:
    found = []
    large = set(suites()[_LARGE])
    for name in _SMALL:
        column = scores.suite(name)
        if column is not None:
            common = len(large.intersection(column.members))
            remark = (
                f"{plural(common, 'collection')} of {column.label} belong to BEIR-13 too, which alone makes them alike."
                if common
                else ""
            )
            scored = {key: scores.score(*key, column) for key in _configurations(scores)}
            found.append(Cheap(f"{scores.measure} on {column.label}", remark, _means(scores, scored)))
    validated = {key: _validated(scores, *key) for key in _configurations(scores)}
    measures = {cell.training.measure for cell in scores.results.cells if cell.state == "done" and cell.training}
    means = _means(scores, validated)
    if means:
        measure = next((str(m) for m in sorted(filter(None, measures))), scores.measure)
        remark = "Validation is at the chosen checkpoint, hence at its highest value."
        found.append(Cheap(f"validation {measure}", remark, means))
    return found


def _validated(scores: Scores, backbone: str, recipe: str) -> Score:
    cells = scores.cells(backbone, recipe)
    values = [finite(cell.training.best_value) for cell in cells if cell.state == "done" and cell.training]
    return Score(tuple(value for value in values if value is not None), len(cells))


def _marker(place: int) -> str:
    return (*MARKERS, "<", ">", "h", "X", "*", "d")[place % (len(MARKERS) + 6)]


def _draw_points(axes: Axes, scores: Scores, keys: Sequence[tuple[str, str]], x: np.ndarray, y: np.ndarray) -> None:
    for (backbone, recipe), one, other in zip(keys, x, y, strict=True):
        axes.plot(
            [one], [other], _marker(scores.backbones.index(backbone)), markersize=4.5, markerfacecolor="none",
            color=COLOURS[scores.recipes.index(recipe) % len(COLOURS)], markeredgewidth=1.1,
        )  # fmt: skip
    tau, low, high = kendall(x, y)
    axes.set_title(f"τ = {tau:.2f} [{low:.2f}, {high:.2f}], {plural(len(keys), 'point')}", fontweight="normal")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(6))
