import numpy as np
import pytest
from scipy import stats

from limbeck.evaluation import Paired, over_queries, over_queries_and_seeds, paired_t

MANY = np.random.default_rng(2).normal(0.05, 0.3, 60)


def paired(*a, b=None):
    """Systems a, b on collections [seeds, queries]; b is 0 where it is not given."""
    return Paired(a, b or tuple(np.zeros((1, one.shape[1])) for one in a))


def test_paired_t_agrees_with_scipy():
    assert paired_t(MANY) == pytest.approx(stats.ttest_1samp(MANY, 0).pvalue)
    assert paired_t(-MANY) == paired_t(MANY)


def test_paired_t_without_spread_is_defined():
    assert paired_t([0.0, 0.0, 0.0]) == 1
    assert paired_t([0.1, 0.1, 0.1]) == 0
    assert paired_t([0.3]) == 1


def test_the_t_interval_agrees_with_scipy():
    expected = stats.ttest_1samp(MANY, 0).confidence_interval(0.9)
    assert over_queries(paired(MANY[None])).interval(0.9) == pytest.approx(tuple(expected))
    assert over_queries(paired(np.ones((1, 1)))).interval() is None


def test_a_suite_of_two_collections_has_the_error_of_welchs_test():
    """The mean of two means is half a difference of one and the negative of the other."""
    x, y = MANY[:20], 2 * MANY[20:]
    found = over_queries(paired(x[None], y[None]))
    expected = stats.ttest_ind(x, -y, equal_var=False)
    assert found.difference == pytest.approx((x.mean() + y.mean()) / 2)
    assert (found.p, found.df) == (pytest.approx(expected.pvalue), pytest.approx(expected.df))


def test_seeds_and_queries_are_the_two_factors_of_an_analysis_of_variance():
    """Of a two-way layout with random effects, the mean's variance is (MS queries + MS seeds − MS rest) / cells."""
    random = np.random.default_rng(0)
    values = random.normal(0, 0.3, (1, 40)) + random.normal(0, 0.2, (3, 1)) + random.normal(0, 0.1, (3, 40))
    of_queries = 3 * values.mean(0).var(ddof=1)
    of_seeds = 40 * values.mean(1).var(ddof=1)
    total = ((values - values.mean()) ** 2).sum()
    rest = (total - 39 * of_queries - 2 * of_seeds) / 78
    found = over_queries_and_seeds(paired(values))
    assert found.error**2 == pytest.approx((of_queries + of_seeds - rest) / 120)
    assert 2 < found.df < 39


def test_seeds_that_agree_or_are_single_add_nothing():
    alone = over_queries(paired(MANY[None]))
    assert over_queries_and_seeds(paired(MANY[None])) == alone
    assert over_queries_and_seeds(paired(np.stack([MANY] * 3))).error == pytest.approx(alone.error)


def test_the_seeds_of_both_systems_count():
    random = np.random.default_rng(0)
    a, b = (random.normal(0, 0.3, (1, 40)) + random.normal(0, 0.2, (3, 1)) for _ in range(2))
    both, one = over_queries_and_seeds(paired(a, b=(b,))), over_queries_and_seeds(paired(a, b=(b.mean(0)[None],)))
    assert both.error > 1.1 * one.error
    assert over_queries_and_seeds(paired(b, b=(a,))).p == pytest.approx(both.p)


def test_seeds_are_shared_by_the_collections_of_a_suite():
    """What a seed does on all collections does not average out over them."""
    random = np.random.default_rng(1)
    shift = np.array([[-0.1], [0.0], [0.1]])
    values = [random.normal(0, 0.1, (1, 50)) + shift for _ in range(10)]
    assert over_queries_and_seeds(paired(*values)).error > 0.1 / np.sqrt(3)


def test_a_true_null_hypothesis_is_rejected_as_often_as_stated_though_seeds_differ():
    random = np.random.default_rng(4)
    queries, seeds = [], []
    for _ in range(600):
        values = random.normal(0, 0.2, (1, 50)) + random.normal(0, 0.05, (3, 1)) + random.normal(0, 0.1, (3, 50))
        queries.append(over_queries(paired(values)).p)
        seeds.append(over_queries_and_seeds(paired(values)).p)
    assert np.mean(np.array(seeds) <= 0.05) < 0.08
    assert np.mean(np.array(queries) <= 0.05) > 0.12


def test_seeds_whose_interactions_cancel_leave_a_degree_of_freedom():
    random = np.random.default_rng(1)
    fewest = min(
        over_queries_and_seeds(Paired((random.normal(0, 0.1, (2, 50)),), (random.normal(0, 0.1, (2, 50)),))).df
        for _ in range(2000)
    )
    assert fewest == 1
