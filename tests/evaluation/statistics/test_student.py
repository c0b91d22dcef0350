import numpy as np
import pytest
from scipy import stats

from limbeck.core.errors import UsageError
from limbeck.evaluation import (
    Estimate,
    Moments,
    Training,
    Trainings,
    compare_all,
    equivalence_p,
    minimum_detectable_difference,
    over_queries,
    paired_t,
    power,
)

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


@pytest.mark.parametrize(("size", "n", "expected"), [(0.5, 34, 0.8078), (0.3, 90, 0.8038), (0.8, 15, 0.8213)])
def test_power_agrees_with_statsmodels(size, n, expected):
    """statsmodels 0.15.0: TTestPower().power(size, n, 0.05)."""
    assert power(Estimate(0.0, 1 / np.sqrt(n), n - 1), size) == pytest.approx(expected, abs=2e-4)


def test_power_agrees_with_scipys_non_central_t():
    critical = stats.t.isf(0.005, 12.5)
    assert power(Estimate(0.3, 0.1, 12.5), -0.4, 0.01) == pytest.approx(stats.nct.sf(critical, 12.5, 4.0))


def test_the_detectable_difference_is_found_as_often_as_stated():
    random = np.random.default_rng(0)
    n = 25
    known = Estimate(0.0, 0.2 / np.sqrt(n), n - 1)
    detectable = minimum_detectable_difference(known)
    assert power(known, detectable) == pytest.approx(0.8, abs=1e-5)
    p = stats.ttest_1samp(random.normal(detectable, 0.2, (4000, n)), 0, axis=1).pvalue
    assert (p <= 0.05).mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("df", [1, 1.5, 2, 49, 10_000])
@pytest.mark.parametrize("level", [0.05, 1e-4, 1e-7])
def test_a_detectable_difference_is_found_at_every_size_and_level(df, level):
    assert power(Estimate(0.0, 1.0, df), minimum_detectable_difference(Estimate(0.0, 1.0, df), level), level) == (
        pytest.approx(0.8, abs=1e-3)
    )


def test_more_data_and_a_laxer_level_detect_smaller_differences():
    sizes = [minimum_detectable_difference(Estimate(0.0, 1 / np.sqrt(n), n - 1)) for n in (5, 50, 500)]
    assert sizes == sorted(sizes, reverse=True)
    assert minimum_detectable_difference(Estimate(0.0, 1.0, 20), 0.01) > minimum_detectable_difference(
        Estimate(0.0, 1.0, 20), 0.05
    )


def test_without_spread_or_knowledge_of_it_power_is_defined():
    assert minimum_detectable_difference(Estimate(0.1, 0.0, 9)) == 0
    assert minimum_detectable_difference(Estimate(0.1, 0.0, 0)) is None
    assert (power(Estimate(0.0, 0.0, 9), 0.1), power(Estimate(0.0, 0.0, 0), 0.1)) == (1, 0)
    assert power(Estimate(0.0, 1.0, 9), 0.0) == 0


def test_impossible_levels_are_refused():
    with pytest.raises(UsageError, match="level"):
        power(Estimate(0.0, 1.0, 9), 0.1, 0.0)
    with pytest.raises(UsageError, match="power"):
        minimum_detectable_difference(Estimate(0.0, 1.0, 9), 0.05, 0.01)


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


def test_a_difference_at_the_margin_is_called_equivalent_as_seldom_as_stated():
    random = np.random.default_rng(0)
    claims = [equivalence_p(random.normal(0.1, 0.2, 60), 0.1) <= 0.05 for _ in range(1000)]
    assert 0.03 < np.mean(claims) < 0.07


def test_seeds_that_disagree_forbid_the_claim():
    random = np.random.default_rng(0)
    same = random.normal(0, 0.05, 60)
    rankers = [Training(recipe="r", values={"x": dict(enumerate_ids(same + shift))}) for shift in (-0.1, 0.0, 0.1)] + [
        Training(recipe="first", trained=False, values={"x": dict(enumerate_ids(np.zeros(60)))})
    ]
    [found] = compare_all(Trainings.align(rankers), [([("r", "")], [("first", "")])], margin=0.05)
    assert found.models.equivalence_p < 0.001
    assert found.recipes.equivalence_p > 0.1


def enumerate_ids(values):
    return ((f"q{n}", float(value)) for n, value in enumerate(values))
