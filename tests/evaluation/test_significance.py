import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from limbeck.errors import DataError, UsageError
from limbeck.evaluation import (
    bootstrap_interval,
    compare,
    equivalence_p,
    holm,
    paired_t,
    randomisation_test,
)

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


def test_paired_t_agrees_with_scipy():
    assert paired_t(MANY) == pytest.approx(stats.ttest_1samp(MANY, 0).pvalue)
    assert paired_t(-MANY) == paired_t(MANY)


def test_paired_t_without_spread_is_defined():
    assert paired_t([0.0, 0.0, 0.0]) == 1
    assert paired_t([0.1, 0.1, 0.1]) == 0
    assert paired_t([0.3]) == 1


def test_equivalence_is_two_one_sided_tests():
    lower = stats.ttest_1samp(MANY, -0.2, alternative="greater").pvalue
    upper = stats.ttest_1samp(MANY, 0.2, alternative="less").pvalue
    assert equivalence_p(MANY, 0.2) == pytest.approx(max(lower, upper))
    assert equivalence_p(MANY, 10) < 1e-6
    assert equivalence_p(MANY + 1, 0.2) > 0.99
    assert equivalence_p(MANY - 1, 0.2) > 0.99
    assert equivalence_p(np.zeros(5), 0.01) == 0
    assert equivalence_p([0.0], 0.01) == 1
    for margin in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="margin"):
            equivalence_p(MANY, margin)


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


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_nor_reorders_them(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [corrected[i] for i in order] == sorted(corrected)


def test_holm_corrects_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(DataError, match="p-values"):
        holm([0.1, float("nan")])


def test_a_comparison_pairs_queries_by_id_whatever_their_order():
    a = {"q1": 0.9, "q2": 0.5, "q3": 0.4, "q4": 0.2}
    b = {"q4": 0.2, "q3": 0.6, "q2": 0.1, "q1": 0.2}
    result = compare(a, b)
    differences = np.array([0.7, 0.4, -0.2, 0.0])
    assert result.difference == pytest.approx(differences.mean())
    assert (result.n, result.wins, result.ties, result.losses) == (4, 2, 1, 1)
    assert result.t_p == pytest.approx(paired_t(differences))
    assert result.randomisation_p == randomisation_test(differences)
    assert result.ci_low < result.difference < result.ci_high
    assert compare(dict(reversed(a.items())), b) == result


def test_a_p_value_on_misaligned_queries_is_impossible():
    a, b = {"q1": 0.9, "q2": 0.5}, {"q1": 0.9, "q3": 0.5}
    with pytest.raises(DataError, match=r"1 are shared, 1 only in the first \['q2'\], 1 only in the second \['q3'\]"):
        compare(a, b)
    with pytest.raises(DataError, match="same queries"):
        compare(a, {"q1": 0.9})
    with pytest.raises(DataError, match="at least one"):
        compare({}, {})
    with pytest.raises(DataError, match="NaN"):
        compare(a, {"q1": float("nan"), "q2": 0.0})
    with pytest.raises(DataError, match="one per query"):
        paired_t(np.ones((2, 3)))


def test_impossible_sampling_is_refused():
    with pytest.raises(UsageError, match="samples"):
        randomisation_test(MANY, samples=0)
    with pytest.raises(UsageError, match="level"):
        bootstrap_interval(MANY, level=1.0)
