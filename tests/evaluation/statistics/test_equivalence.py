import numpy as np
import pytest
from scipy import stats

from limbeck.core.errors import UsageError
from limbeck.evaluation import Training, Trainings, compare_all, equivalence_p

MANY = np.random.default_rng(2).normal(0.05, 0.3, 60)


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
