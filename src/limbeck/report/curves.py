"""Training curves as data: smoothing within a stage, means over seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Curve = tuple[np.ndarray, np.ndarray]
"""Steps [points], ascending, and values [points]."""


def curve(points: Sequence[Sequence[float | None]] | None) -> Curve | None:
    """A recorded curve without its gaps and non-finite values; None where nothing is left."""
    kept = sorted((p[0], p[1]) for p in points or () if p[0] is not None and p[1] is not None and math.isfinite(p[1]))
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


def stage_boundaries(recipe: Mapping[str, Any]) -> list[float]:
    """The last step of every stage but the last; none where the number of steps is unknown."""
    steps = [stage.get("steps") for stage in recipe.get("stages") or ()]
    if not all(isinstance(count, int) for count in steps):
        return []
    return [float(end) for end in np.cumsum(steps)[:-1]]
