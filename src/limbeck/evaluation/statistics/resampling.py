"""Resampling: Fisher's randomisation test on paired differences, many at once, and bootstrap intervals."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from limbeck.core.errors import UsageError
from limbeck.evaluation.statistics.trainings import Floats, finite

EXACT_UP_TO = 16
ELEMENTS = 4_000_000
"""Of the matrix of signs that is held at a time."""


def randomisation_test(differences: ArrayLike, samples: int = 100_000, seed: int = 0) -> float:
    """Two-sided p-value of the randomisation test on paired differences [queries]; see `randomisation_tests`."""
    return float(randomisation_tests(finite(differences)[None], samples, seed)[0])


def randomisation_tests(differences: ArrayLike, samples: int = 100_000, seed: int = 0) -> Floats:
    """Two-sided p-values [comparisons] of Fisher's randomisation test on paired differences [comparisons, queries].

    Under the null hypothesis every difference may as well have the other sign; the statistic is the sum. All
    assignments of signs are counted for up to 16 differences other than 0, `samples` random ones for more:
    (k + 1) / (samples + 1), never 0. The comparisons share their signs, which makes one matrix product of them all;
    each p-value is what it would be alone. For a suite, weight each difference by 1 / (queries of its collection).

    Source: Smucker, Allan and Carterette 2007, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation (CIKM); the + 1: Phipson and Smyth 2010, Permutation P-values Should Never Be Zero.
    """
    if samples < 1:
        raise UsageError(f"a randomisation test of {samples} samples; expected 1 or more")
    values = finite(differences, (2,))
    few = (values != 0).sum(1) <= EXACT_UP_TO
    found = np.empty(len(values))
    found[few] = [_exact(row[row != 0]) for row in values[few]]
    if not few.all():
        found[~few] = _sampled(values[~few], samples, seed)
    return found


def _exact(values: Floats) -> float:
    places = np.arange(len(values))
    signs = 2.0 * (np.arange(2 ** len(values))[:, None] >> places & 1) - 1
    return float((np.abs(signs @ values) >= _extreme(values[None])[0]).mean())


def _sampled(values: Floats, samples: int, seed: int) -> Floats:
    comparisons, queries = values.shape
    random = np.random.default_rng(seed)
    extreme, total = _extreme(values), values.sum(1)
    count = np.zeros(comparisons, dtype=np.int64)
    height = max(1, ELEMENTS // max(queries, comparisons))
    for start in range(0, samples, height):
        rows = min(height, samples - start)
        # Whole words: of a part of one the generator would drop the rest, and the draws depend on `height`.
        words = random.integers(0, 2**32, (rows, -(-queries // 32)), dtype=np.uint32)
        bits = np.unpackbits(words.view(np.uint8), axis=1)
        positive = bits[:, :queries].astype(np.float64) @ values.T
        count += (np.abs(2 * positive - total) >= extreme).sum(0)
    return (count + 1) / (samples + 1)


def _extreme(values: Floats) -> Floats:
    """The sums that count as at least as far from 0 as those observed: equal ones may differ by rounding."""
    return np.asarray(np.abs(values.sum(1)) - 1e-10 * np.abs(values).sum(1))


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
