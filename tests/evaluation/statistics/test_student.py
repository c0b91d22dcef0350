import numpy as np
import pytest
from scipy import stats

from limbeck.evaluation import Moments, over_queries, paired_t

MANY = np.random.default_rng(2).normal(0.05, 0.3, 60)


def over(*collections):
    """The estimate of differences, per collection [queries]."""
    [found] = over_queries(Moments.of([one[None] for one in collections]), np.ones((1, 1)))
    return found


def test_paired_t_agrees_with_scipy():
    assert paired_t(MANY) == pytest.approx(stats.ttest_1samp(MANY, 0).pvalue)
    assert paired_t(-MANY) == pytest.approx(paired_t(MANY))


def test_paired_t_without_spread_is_defined():
    assert paired_t([0.0, 0.0, 0.0]) == 1
    assert paired_t([0.1, 0.1, 0.1]) == 0
    assert paired_t([0.3]) == 1


def test_the_t_interval_agrees_with_scipy():
    expected = stats.ttest_1samp(MANY, 0).confidence_interval(0.9)
    assert over(MANY).interval(0.9) == pytest.approx(tuple(expected))
    assert over(np.ones(1)).interval() is None


def test_a_suite_of_two_collections_has_the_error_of_welchs_test():
    """The mean of two means is half a difference of one and the negative of the other."""
    x, y = MANY[:20], 2 * MANY[20:]
    found = over(x, y)
    expected = stats.ttest_ind(x, -y, equal_var=False)
    assert found.difference == pytest.approx((x.mean() + y.mean()) / 2)
    assert (found.p, found.df) == (pytest.approx(expected.pvalue), pytest.approx(expected.df))


def test_a_suite_with_a_collection_of_one_query_has_no_error():
    assert over(MANY, np.ones(1)).df == 0
