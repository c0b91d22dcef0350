"""Which systems are within a margin of the best: by hand, in its logic, and how often it errs."""

import numpy as np
import pytest
from scipy import stats

from limbeck.core.errors import UsageError
from limbeck.evaluation import LEVEL, Training, Trainings, near_best


@pytest.fixture
def random():
    return np.random.default_rng(11)


def align(values):
    """Trainings from recipe → [seeds, queries]."""
    return Trainings.align(
        Training(recipe=recipe, values={"x": {f"q{n}": float(value) for n, value in enumerate(row)}})
        for recipe, rows in values.items()
        for row in np.atleast_2d(rows)
    )


def found(values, margin):
    return dict(zip(values, near_best(align(values), [(name, "") for name in values], margin), strict=True))


def test_of_two_systems_it_is_the_one_sided_t_test_uncorrected(random):
    best = random.normal(0.5, 0.2, 40)
    near = best - 0.004 + random.normal(0, 0.02, 40)
    rows = found({"best": best, "near": near}, 0.01)
    p = stats.ttest_rel(near + 0.01, best, alternative="greater").pvalue
    assert rows["near"].models.p == pytest.approx(p)
    assert rows["near"].models.corrected_p == pytest.approx(p)  # one of two hypotheses is false, whatever is true
    assert rows["near"].models.interval == pytest.approx(tuple(stats.ttest_rel(near, best).confidence_interval()))
    assert rows["near"].difference == pytest.approx((near - best).mean())
    assert rows["best"].models.interval is None
    assert rows["best"].models.p < rows["near"].models.p
    assert rows["near"].recipes is None  # one seed each


def test_a_system_is_tested_against_every_other_one_not_only_against_the_highest_mean(random):
    """`noisy` may be better than `best` by chance alone, so that nothing is shown to be as good as both."""
    best = random.normal(0.5, 0.2, 30)
    noise = random.normal(0, 0.4, 30)
    noisy = best - 0.001 + noise - noise.mean()
    near = best - 0.002 + random.normal(0, 0.001, 30)
    assert found({"best": best, "near": near}, 0.01)["near"].models.shown
    rows = found({"best": best, "near": near, "noisy": noisy}, 0.01)
    assert not any(row.models.shown for row in rows.values())
    assert rows["near"].models.p == pytest.approx(stats.ttest_rel(near + 0.01, noisy, alternative="greater").pvalue)


def test_what_is_behind_by_the_margin_is_never_shown(random):
    for _ in range(20):  # by the margin exactly but for rounding, which is on either side
        best = random.normal(0.5, 0.2, 30)
        rows = found({"best": best, "behind": best - 0.01, "far": best - 0.3}, 0.01)
        assert rows["behind"].models.p >= 0.5
        assert rows["far"].models.p > 0.99


def test_the_recipes_answer_also_draws_seeds(random):
    queries = random.normal(0.5, 0.2, 200)
    seeds = random.normal(0, 0.02, (2, 3, 1))
    values = {"a": queries + seeds[0], "b": queries + seeds[1]}
    row = min(found(values, 0.05).values(), key=lambda each: each.mean)
    assert row.models.p < row.recipes.p
    assert row.recipes.interval[0] < row.models.interval[0]


def test_the_power_is_the_chance_of_showing_an_equally_good_system(random):
    """Of 4,000 studies of two equal systems, as many show the second as the power says."""
    values = random.normal(0, 1, (4000, 2, 20))
    t = (values[:, 1] - values[:, 0]).mean(1) + 0.5
    t /= (values[:, 1] - values[:, 0]).std(1, ddof=1) / np.sqrt(20)
    shown = (stats.t.sf(t, 19) < LEVEL).mean()
    known = [found({"a": one[0], "b": one[1]}, 0.5) for one in values[:200]]
    powers = [row.models.power for rows in known for row in rows.values() if row.models.power is not None]
    assert np.mean(powers) == pytest.approx(shown, abs=0.04)


def test_false_claims_are_as_rare_as_stated_where_four_systems_are_behind_by_just_the_margin(random):
    errors = 0
    for _ in range(300):
        best = random.normal(0.5, 0.2, 25)
        values = {f"s{n}": best - 0.05 + random.normal(0, 0.1, 25) for n in range(4)}
        values["best"] = best + random.normal(0, 0.1, 25)
        rows = found(values, 0.05)
        errors += any(row.models.shown for name, row in rows.items() if name != "best")
    assert errors / 300 < LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 300)


def test_a_single_system_has_no_rival_and_a_margin_is_above_0():
    assert near_best(align({"a": [0.1, 0.2]}), [("a", "")], 0.1) == []
    with pytest.raises(UsageError, match="margin"):
        near_best(align({"a": [0.1, 0.2], "b": [0.1, 0.3]}), [("a", ""), ("b", "")], 0.0)
