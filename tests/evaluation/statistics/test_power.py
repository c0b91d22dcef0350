import numpy as np
import pytest
from scipy import stats

from limbeck.core.errors import UsageError
from limbeck.evaluation import Estimate, minimum_detectable_difference, power


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
