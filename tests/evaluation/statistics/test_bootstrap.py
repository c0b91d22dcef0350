import numpy as np
import pytest

from limbeck.core.errors import UsageError
from limbeck.evaluation import bootstrap_interval

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


def test_few_queries_do_not_narrow_the_interval():
    """n of n drawn would give three quarters of this variance for four queries."""
    values = np.array([0.1, 0.4, 0.2, 0.6])
    drawn = np.random.default_rng(0).choice(values, (100_000, 3)).mean(1)
    found = bootstrap_interval(values, samples=40_000)
    assert found == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_impossible_input_is_refused():
    with pytest.raises(UsageError, match="level"):
        bootstrap_interval(MANY, level=1.0)
