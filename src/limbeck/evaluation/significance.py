"""Paired statistics over per-query values. Whatever compares two runs goes through `compare`, which aligns queries.

Average each run's values over its seeds first: a query is the unit that is drawn, a seed is not another query.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from limbeck.errors import DataError, UsageError

Floats = NDArray[np.float64]

EXACT_UP_TO = 16
CHUNK = 1000


@dataclass(frozen=True)
class Comparison:
    """Two runs, a and b, on the same queries.

    Attributes:
        difference: mean of a − b; positive where a is better.
        t_p, randomisation_p: two-sided p-values of the paired t-test and of the randomisation test, not yet corrected
            for the number of comparisons (see `holm`).
        ci_low, ci_high: 95 % bootstrap interval of the difference, over queries.
        n: number of queries; wins + ties + losses.
        wins, ties, losses: queries on which a is better than, equal to and worse than b.
    """

    difference: float
    t_p: float
    randomisation_p: float
    ci_low: float
    ci_high: float
    n: int
    wins: int
    ties: int
    losses: int


def compare(
    values_a: Mapping[str, float], values_b: Mapping[str, float], *, samples: int = 100_000, seed: int = 0
) -> Comparison:
    """Compare two runs by their values per query id, in whatever order these come.

    `samples` is the randomisation test's. DataError unless both hold the same queries, at least one, all finite.
    """
    differences = _paired(values_a, values_b)
    low, high = bootstrap_interval(differences, seed=seed)
    return Comparison(
        difference=float(differences.mean()),
        t_p=paired_t(differences),
        randomisation_p=randomisation_test(differences, samples=samples, seed=seed),
        ci_low=low,
        ci_high=high,
        n=len(differences),
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of one family of p-values, in the order given.

    Source: Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise DataError(f"{list(p_values)} are not all p-values; expected numbers from 0 to 1")
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for position, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - position) * p_values[i]))
        corrected[i] = highest
    return corrected


def randomisation_test(differences: ArrayLike, samples: int = 100_000, seed: int = 0) -> float:
    """Two-sided p-value of Fisher's randomisation test on paired differences [queries].

    Under the null hypothesis every difference may as well have the other sign. All assignments of signs are counted for
    up to 16 differences other than 0, `samples` random ones for more: (k + 1) / (samples + 1), never 0.

    Source: Smucker, Allan and Carterette 2007, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation (CIKM).
    """
    if samples < 1:
        raise UsageError(f"a randomisation test of {samples} samples; expected 1 or more")
    values = _finite(differences)
    # The sign of 0 changes nothing.
    sizes = np.abs(values[values != 0])
    # Sums in another order differ by rounding: equal ones must count as equal.
    extreme = abs(float(values.sum())) - 1e-10 * float(sizes.sum())
    if len(sizes) <= EXACT_UP_TO:
        places = np.arange(len(sizes))
        signs = 2.0 * (np.arange(2 ** len(sizes))[:, None] >> places & 1) - 1
        return float((np.abs(signs @ sizes) >= extreme).mean())
    random = np.random.default_rng(seed)
    count = 0
    for start in range(0, samples, CHUNK):
        rows = min(CHUNK, samples - start)
        bits = np.unpackbits(random.integers(0, 256, (rows, -(-len(sizes) // 8)), dtype=np.uint8), axis=1)
        positive = bits[:, : len(sizes)].astype(np.float64) @ sizes
        count += int((np.abs(2 * positive - sizes.sum()) >= extreme).sum())
    return (count + 1) / (samples + 1)


def paired_t(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired t-test on differences [queries].

    1 for a single query or where no query differs; 0 where all differ by the same amount.
    """
    values = _finite(differences)
    return float(min(1.0, 2 * stats.t.sf(abs(_t(values, 0.0)), max(len(values) - 1, 1))))


def equivalence_p(differences: ArrayLike, margin: float) -> float:
    """p-value of the claim that the mean difference lies within ±margin: two one-sided paired t-tests, the larger p.

    Below the level chosen, the two runs are equivalent to within `margin`, which is in the measure's own unit and must
    be chosen before looking. 1 for a single query.

    Source: Schuirmann 1987, A Comparison of the Two One-Sided Tests Procedure and the Power Approach (TOST).
    """
    if not (math.isfinite(margin) and margin > 0):
        raise UsageError(f"the margin of equivalence is {margin}; expected a finite number above 0")
    values = _finite(differences)
    if len(values) < 2:
        return 1.0
    above, below = _t(values, -margin), _t(values, margin)
    return float(max(stats.t.sf(above, len(values) - 1), stats.t.cdf(below, len(values) - 1)))


def bootstrap_interval(
    differences: ArrayLike, samples: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the mean difference.

    `differences` is [queries], or [seeds, queries] to draw both seeds and queries anew in every sample.
    """
    if samples < 1 or not 0 < level < 1:
        raise UsageError(f"a bootstrap of {samples} samples at level {level}; expected 1 or more, and between 0 and 1")
    values = np.atleast_2d(_finite(differences, dimensions=(1, 2)))
    seeds, queries = values.shape
    random = np.random.default_rng(seed)
    means = []
    for start in range(0, samples, CHUNK):
        rows = min(CHUNK, samples - start)
        drawn = random.multinomial(seeds, np.full(seeds, 1 / seeds), rows) / seeds @ values
        means.append(np.take_along_axis(drawn, random.integers(0, queries, (rows, queries)), 1).mean(1))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def _paired(values_a: Mapping[str, float], values_b: Mapping[str, float]) -> Floats:
    if set(values_a) != set(values_b):
        only_a, only_b = sorted(set(values_a) - set(values_b)), sorted(set(values_b) - set(values_a))
        raise DataError(
            f"paired statistics need the same queries on both sides: {len(set(values_a) & set(values_b))} are shared, "
            f"{len(only_a)} only in the first {only_a[:3]}, {len(only_b)} only in the second {only_b[:3]}; "
            f"measure both runs on one collection"
        )
    return _finite([values_a[query_id] - values_b[query_id] for query_id in sorted(values_a)])


def _finite(differences: ArrayLike, dimensions: tuple[int, ...] = (1,)) -> Floats:
    values: Floats = np.asarray(differences, dtype=np.float64)
    if values.ndim not in dimensions or not values.size:
        raise DataError(f"differences of shape {list(values.shape)}; expected one per query, at least one")
    if not np.isfinite(values).all():
        raise DataError("a difference is NaN or infinite; expected a finite value for every query")
    return values


def _t(values: Floats, mean: float) -> float:
    """The t statistic of the values' mean against `mean`; ±inf without spread, 0 for one value or no difference."""
    distance = float(values.mean()) - mean
    # Exactly equal values can have a mean that rounding moved off them.
    spread = float(values.std(ddof=1)) if len(values) > 1 and np.ptp(values) > 0 else 0.0
    if distance == 0 or len(values) < 2:
        return 0.0
    return distance / (spread / math.sqrt(len(values))) if spread else math.copysign(math.inf, distance)
