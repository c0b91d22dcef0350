"""Bootstrap intervals: of the mean of one system, and weights of what is drawn."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from limbeck.core.errors import UsageError
from limbeck.evaluation.statistics.trainings import Floats, finite


def bootstrap_interval(
    values: ArrayLike, samples: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the mean of values [queries].

    Of n queries n − 1 are drawn with replacement, so that the variance is the unbiased one.

    Source: Efron 1979, Bootstrap Methods: Another Look at the Jackknife; n − 1: McCarthy and Snowden 1985, The
    Bootstrap and Finite Population Sampling.
    """
    if samples < 1 or not 0 < level < 1:
        raise UsageError(f"a bootstrap of {samples} samples at level {level}; expected 1 or more, and between 0 and 1")
    queries = finite(values)
    random = np.random.default_rng(seed)
    means = np.array([random.choice(queries, max(1, len(queries) - 1)).mean() for _ in range(samples)])
    low, high = percentiles(means, level)
    return float(low), float(high)


def percentiles(sampled: Floats, level: float = 0.95, units: int | None = None) -> Floats:
    """The bounds [2, …] that hold the share `level` of samples [rows, …].

    With `units`, how many units were drawn, they lie further out by as much as Student's t does beyond the normal
    distribution: how far few units differ is itself hardly known.

    Source: Hesterberg 2015, What Teachers Should Know About the Bootstrap (the expanded percentile interval).
    """
    tail = (1 - level) / 2
    if units is not None:
        tail = special.ndtr(special.stdtrit(units - 1, tail))
    return np.asarray(np.quantile(sampled, [tail, 1 - tail], axis=0))


def draw(random: np.random.Generator, units: int, rows: int) -> Floats:
    """Weights [rows, units] of n − 1 of n units drawn with replacement (one alone: itself); each row sums to 1."""
    drawn = max(1, units - 1)
    return np.asarray(random.multinomial(drawn, np.full(units, 1 / units), rows) / drawn)
