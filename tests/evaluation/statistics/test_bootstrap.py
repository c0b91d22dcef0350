import numpy as np
import pytest
from scipy import stats

from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation import Paired, bootstrap_interval, bootstrap_intervals

MANY = np.random.default_rng(2).normal(0.05, 0.3, 60)


def test_the_bootstrap_interval_covers_the_mean_as_often_as_stated():
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(random.normal(1, 1, 50), samples=500)
        covered += low <= 1 <= high
    assert 0.88 < covered / 200 < 0.99


def test_a_bootstrap_over_queries_is_as_wide_as_their_standard_error():
    low, high = bootstrap_interval(MANY)
    assert (high - low) / 2 == pytest.approx(1.96 * MANY.std() / np.sqrt(len(MANY)), rel=0.05)
    assert bootstrap_interval(MANY) == (low, high) != bootstrap_interval(MANY, seed=1)
    narrow = bootstrap_interval(MANY, level=0.5)
    assert low < narrow[0] < MANY.mean() < narrow[1] < high


def test_seeds_that_disagree_widen_the_bootstrap_interval():
    agreeing = np.stack([MANY, MANY, MANY])
    disagreeing = agreeing + np.array([[-0.5], [0.0], [0.5]])
    same = bootstrap_interval(agreeing)
    assert same == pytest.approx(bootstrap_interval(MANY), abs=0.01)
    low, high = bootstrap_interval(disagreeing)
    assert high - low > 2 * (same[1] - same[0])


def against_zero(*collections):
    return Paired(collections, tuple(np.zeros((1, one.shape[1])) for one in collections))


def half(interval):
    return (interval[1] - interval[0]) / 2 / 1.96


def test_few_seeds_or_queries_do_not_narrow_the_interval():
    """n of n drawn would give half this variance for two seeds, three quarters for four queries."""
    seeds = np.array([[-0.1], [0.1]]) + np.zeros((1, 30))
    low, high = bootstrap_interval(seeds, level=0.4)
    assert (low, high) == (pytest.approx(-0.1), pytest.approx(0.1))
    values = np.array([0.1, 0.4, 0.2, 0.6])
    drawn = np.random.default_rng(0).choice(values, (100_000, 3)).mean(1)
    assert bootstrap_interval(values, samples=100_000) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_the_seeds_of_both_systems_are_drawn():
    a = np.array([[-0.2], [0.0], [0.2]]) + np.zeros((1, 30))
    one = half(bootstrap_intervals([Paired((a,), (a[:1],))])[0])
    both = half(bootstrap_intervals([Paired((a,), (a,))])[0])
    assert both > 1.2 * one


def test_a_suite_weighs_its_collections_equally():
    random = np.random.default_rng(0)
    large, small = random.normal(0, 0.3, (1, 400)), random.normal(1, 0.3, (1, 40))
    found = bootstrap_intervals([against_zero(large, small)])[0]
    assert found.mean() == pytest.approx((large.mean() + small.mean()) / 2, abs=0.005)
    assert half(found) == pytest.approx(np.hypot(large.std() / 20, small.std() / np.sqrt(40)) / 2, rel=0.05)


def test_drawn_collections_widen_the_interval_by_their_spread():
    random = np.random.default_rng(0)
    collections = [random.normal(shift, 0.3, (1, 60)) for shift in random.normal(0, 0.2, 12)]
    fixed = bootstrap_intervals([against_zero(*collections)])[0]
    drawn = bootstrap_intervals([against_zero(*collections)], draw_collections=True)[0]
    spread = np.std([one.mean() for one in collections], ddof=1) / np.sqrt(12)
    assert half(drawn) * 1.96 == pytest.approx(spread * stats.t.isf(0.025, 11), rel=0.08)
    assert half(drawn) > 2 * half(fixed)


def test_the_hierarchical_interval_covers_the_mean_of_other_collections_as_often_as_stated():
    random = np.random.default_rng(5)
    covered = {True: 0, False: 0}
    for draw in range(300):
        shifts, seeds = random.normal(0, 0.05, 15), random.normal(0, 0.01, (4, 1))
        pairs = [against_zero(*(random.normal(shift, 0.2, (1, 40)) + seeds for shift in shifts))]
        for collections in covered:
            low, high = bootstrap_intervals(pairs, 300, seed=draw, draw_collections=collections)[0]
            covered[collections] += low <= 0 <= high
    assert covered[True] > 0.89 * 300
    assert covered[False] < 0.87 * 300


def test_comparisons_drawn_together_are_drawn_as_alone():
    a, b = np.stack([MANY, MANY + 0.1, -MANY]), np.stack([MANY, 2 * MANY])
    pairs = [Paired((a,), (b[:1],)), Paired((a,), (b,)), Paired((b,), (a,))]
    together = bootstrap_intervals(pairs, 2000)
    for pair, interval in zip(pairs, together, strict=True):
        assert bootstrap_intervals([pair], 2000)[0] == pytest.approx(interval, abs=0.02)
    assert together[1] == pytest.approx(-together[2][::-1], abs=0.02)


def test_impossible_input_is_refused():
    with pytest.raises(UsageError, match="level"):
        bootstrap_interval(MANY, level=1.0)
    with pytest.raises(DataError, match="same queries"):
        bootstrap_intervals([against_zero(MANY[None]), against_zero(MANY[None, 1:])])
