"""All paired statistics of two systems, for one comparison or for many on the same queries."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.evaluation.statistics.bootstrap import bootstrap_intervals
from limbeck.evaluation.statistics.equivalence import check_margin, equivalence
from limbeck.evaluation.statistics.pairing import Paired, Values, pair
from limbeck.evaluation.statistics.power import minimum_detectable_difference, power
from limbeck.evaluation.statistics.randomisation import randomisation_tests
from limbeck.evaluation.statistics.student import over_queries, over_queries_and_seeds

Interval = tuple[float, float]

ENOUGH_COLLECTIONS = 5
"""For an interval over collections, which then covers the truth as often as stated (benchmarks/error_rates.py)."""


@dataclass(frozen=True)
class Comparison:
    """Two systems, a and b, on the same queries. No p-value is corrected yet (see `holm`).

    Attributes:
        difference: mean of a − b; positive where a is better. Over several collections, the mean of their means.
        t_p, randomisation_p: two-sided p-values of the paired t-test and of the randomisation test: queries are drawn,
            the seeds are those at hand.
        seeds_p: two-sided p-value of the t-test for which seeds are drawn too; None where neither has several.
        ci_low, ci_high: 95 % bootstrap interval of the difference, over queries and seeds.
        t_interval: the 95 % t interval over queries and seeds; None for a single query.
        collections_interval: the bootstrap interval over collections and seeds; None for fewer than five collections,
            which say too little of others.
        effect_size: the difference in standard deviations of a query's difference (Cohen 1988, d_z; over several
            collections, the root of their mean variance); None without spread.
        detectable: the smallest true difference that the t-test over queries and seeds finds with power 0.8.
        equivalence_p: p-value of the claim that the difference is within the margin; None without a margin.
        margin_power: chance of finding a true difference as large as the margin; None without a margin.
        seeds: of a and of b.
        n: number of queries; wins + ties + losses.
        wins, ties, losses: queries on which a is better than, equal to and worse than b, values averaged over seeds.
    """

    difference: float
    t_p: float
    randomisation_p: float
    seeds_p: float | None
    ci_low: float
    ci_high: float
    t_interval: Interval | None
    collections_interval: Interval | None
    effect_size: float | None
    detectable: float | None
    equivalence_p: float | None
    margin_power: float | None
    seeds: tuple[int, int]
    n: int
    wins: int
    ties: int
    losses: int


def compare(values_a: Values, values_b: Values, *, samples: int = 100_000, seed: int = 0) -> Comparison:
    """Compare two runs by their values per query id, in whatever order these come.

    `samples` is the randomisation test's. DataError unless both hold the same queries, at least one, all finite.
    """
    return compare_all([pair({"": [values_a]}, {"": [values_b]})], samples=samples, seed=seed)[0]


def compare_all(
    pairs: Sequence[Paired],
    *,
    margin: float | None = None,
    level: float = 0.05,
    samples: int = 100_000,
    bootstrap_samples: int = 10_000,
    seed: int = 0,
) -> list[Comparison]:
    """Compare many pairs of systems on the same queries, sharing the random draws: one matrix product for all.

    Args:
        margin: of equivalence, in the measure's unit.
        level: at which a difference counts as found, for `detectable` and `margin_power`; divide it by the size of the
            family where p-values will be corrected.
        samples: of the randomisation test.
    """
    if margin is not None:
        check_margin(margin)
    if not pairs:
        return []
    intervals = bootstrap_intervals(pairs, bootstrap_samples, seed=seed)
    over_collections: Sequence[Interval | None] = [None] * len(pairs)
    if len(pairs[0].sizes) >= ENOUGH_COLLECTIONS:
        drawn = bootstrap_intervals(pairs, bootstrap_samples, seed=seed, draw_collections=True)
        over_collections = [(float(low), float(high)) for low, high in drawn]
    p_values = randomisation_tests([_weighted(one) for one in pairs], samples, seed)
    return [
        _describe(one, float(p), (float(ci[0]), float(ci[1])), wide, margin, level)
        for one, p, ci, wide in zip(pairs, p_values, intervals, over_collections, strict=True)
    ]


def effect_size(pairs: Paired) -> float | None:
    """The mean difference in standard deviations of a query's difference (see `Comparison`)."""
    spread = math.sqrt(np.mean([one.var(ddof=1) if len(one) > 1 else 0.0 for one in pairs.differences]))
    if pairs.difference == 0:
        return 0.0
    # Exactly equal differences have a spread of nothing but rounding.
    return pairs.difference / spread if spread > 1e-9 * abs(pairs.difference) else None


def _describe(
    pairs: Paired, p: float, ci: Interval, over_collections: Interval | None, margin: float | None, level: float
) -> Comparison:
    known = over_queries_and_seeds(pairs)
    differences = np.concatenate(pairs.differences)
    return Comparison(
        difference=pairs.difference,
        t_p=over_queries(pairs).p,
        randomisation_p=p,
        seeds_p=known.p if max(pairs.seeds) > 1 else None,
        ci_low=ci[0],
        ci_high=ci[1],
        t_interval=known.interval(),
        collections_interval=over_collections,
        effect_size=effect_size(pairs),
        detectable=minimum_detectable_difference(known, level),
        equivalence_p=None if margin is None else equivalence(known, margin),
        margin_power=None if margin is None else power(known, margin, level),
        seeds=pairs.seeds,
        n=len(differences),
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
    )


def _weighted(pairs: Paired) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Differences [queries of all collections], weighted so that their sum is the mean difference."""
    return np.concatenate([one / (len(one) * len(pairs.sizes)) for one in pairs.differences])
