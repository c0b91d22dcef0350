import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from limbeck.core.errors import DataError
from limbeck.evaluation import mean_ranks


@pytest.mark.parametrize(("systems", "quantile"), [(3, 2.343), (4, 2.569), (6, 2.850), (10, 3.164)])
def test_the_critical_difference_is_that_of_the_published_table(systems: int, quantile: float) -> None:
    values = np.random.default_rng(0).normal(size=(14, systems))
    expected = quantile * np.sqrt(systems * (systems + 1) / (6 * 14))
    assert mean_ranks(values).critical_difference == pytest.approx(expected, rel=5e-4)


def test_ranks_share_ties_and_one_is_the_best() -> None:
    found = mean_ranks([[0.3, 0.2, 0.1], [0.3, 0.3, 0.1]])
    assert found.means == (1.25, 1.75, 3.0)
    assert found.friedman_p == pytest.approx(friedmanchisquare([0.3, 0.3], [0.2, 0.3], [0.1, 0.1]).pvalue)


def test_groups_are_the_longest_runs_within_the_critical_difference() -> None:
    # Over 40 collections and four systems the critical difference is 0.74.
    orders = [(3, 2, 1, 0)] * 20 + [(2, 3, 0, 1)] * 20
    found = mean_ranks(np.array(orders, dtype=float))
    assert found.critical_difference == pytest.approx(0.742, abs=1e-3)
    assert found.means == (1.5, 1.5, 3.5, 3.5)
    assert found.groups == ((0, 1), (2, 3))
    far = mean_ranks(np.tile([4.0, 3.0, 2.0, 1.0], (40, 1)))
    assert far.groups == ()
    alike = mean_ranks(np.ones((9, 4)))
    assert (alike.groups, alike.friedman_p) == (((0, 1, 2, 3),), 1.0)


@pytest.mark.parametrize("shape", [(1, 4), (5, 2)])
def test_too_little_to_rank_is_an_error(shape: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="mean ranks need two and three"):
        mean_ranks(np.ones(shape))
