import itertools

import numpy as np
import pytest
from scipy import stats

from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation import bootstrap_interval, paired_t, randomisation_test, randomisation_tests

SOME = np.random.default_rng(1).normal(0.1, 0.3, 12)
MANY = np.random.default_rng(2).normal(0.05, 0.3, 60)


def test_few_queries_are_tested_exactly():
    hits = [
        abs(sum(s * d for s, d in zip(signs, SOME, strict=True))) >= abs(SOME.sum()) - 1e-9
        for signs in itertools.product((-1, 1), repeat=len(SOME))
    ]
    assert randomisation_test(SOME) == pytest.approx(sum(hits) / 2 ** len(SOME))
    assert randomisation_test(SOME, samples=1, seed=7) == randomisation_test(SOME)


def test_known_randomisation_p_values():
    assert randomisation_test([1, 1, 1, 1, 1]) == 2 / 32
    assert randomisation_test([0.1 + 0.2, 0.3, 0.3]) == 2 / 8
    assert randomisation_test([1, -1, 1, -1]) == 1
    assert randomisation_test([0.0, 0.0]) == 1
    assert randomisation_test([5.0]) == 1


def test_queries_without_difference_change_no_p_value():
    assert randomisation_test([*SOME, *np.zeros(40)]) == randomisation_test(SOME)


def test_many_queries_are_sampled_near_the_exact_p_value():
    assert randomisation_test(np.repeat(SOME, 2)[:17], samples=20_000) == pytest.approx(
        np.mean(
            np.abs(np.array(list(itertools.product((-1, 1), repeat=17))) @ np.repeat(SOME, 2)[:17])
            >= abs(np.repeat(SOME, 2)[:17].sum()) - 1e-9
        ),
        abs=0.01,
    )
    assert randomisation_test(MANY, samples=20_000) == pytest.approx(paired_t(MANY), abs=0.02)


def test_a_sampled_p_value_is_never_zero_and_is_repeatable():
    assert randomisation_test(np.ones(100), samples=999) == 1 / 1000
    assert randomisation_test(MANY, samples=3000) == randomisation_test(MANY, samples=3000)
    assert randomisation_test(MANY, samples=3000) != randomisation_test(MANY, samples=3000, seed=1)


def test_a_true_null_hypothesis_is_rejected_as_often_as_stated():
    random = np.random.default_rng(0)
    p = np.array([randomisation_test(random.normal(0, 1, 9)) for _ in range(400)])
    assert 0.02 < (p <= 0.05).mean() < 0.08


def test_agrees_with_scipy():
    """scipy counts all assignments of signs where that is no more than asked for."""
    for values in (SOME, SOME - 0.1, MANY[:15]):
        found = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert randomisation_test(values) == pytest.approx(found.pvalue)


def test_comparisons_tested_together_are_tested_as_alone():
    values = np.stack([MANY, MANY - 0.1, np.r_[SOME, np.zeros(48)], np.zeros(60)])
    together = randomisation_tests(values, samples=2000, seed=3)
    assert together.tolist() == [randomisation_test(row, samples=2000, seed=3) for row in values]
    assert together[3] == 1


def test_more_queries_than_fit_at_a_time_change_nothing(monkeypatch):
    whole = randomisation_test(MANY[:33], samples=500)
    monkeypatch.setattr("limbeck.evaluation.statistics.resampling.ELEMENTS", 33 * 101)
    assert randomisation_test(MANY[:33], samples=500) == whole


def test_impossible_input_is_refused():
    with pytest.raises(UsageError, match="samples"):
        randomisation_test(MANY, samples=0)
    with pytest.raises(DataError, match="one per query"):
        randomisation_test(np.ones((2, 3)))


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


def test_an_impossible_bootstrap_is_refused():
    with pytest.raises(UsageError, match="level"):
        bootstrap_interval(MANY, level=1.0)
