"""The mixed model of seeds, against the textbook tests that it becomes where there is only one thing to draw."""

import random as plain_random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from limbeck.evaluation import Training, Trainings, compare_all, over_queries_and_seeds


@pytest.fixture
def random():
    """Draws of the test alone, whatever ran before it."""
    return np.random.default_rng(5)


def rankers(values, *, prefixes=False, backbone="", untrained=()):
    """Trainings from recipe → [seeds, queries]."""
    return [
        Training(
            recipe=recipe,
            backbone=backbone,
            prefix=f"p{seed}" if prefixes else None,
            trained=recipe not in untrained,
            values={"x": {f"q{n}": float(value) for n, value in enumerate(row)}},
        )
        for recipe, rows in values.items()
        for seed, row in enumerate(np.atleast_2d(rows))
    ]


def between(some, a, b, backbones=("",)):
    """The answer for recipes, as (difference, error, df, p)."""
    data = Trainings.align(some)
    weights = data.mean([(a, one) for one in backbones]) - data.mean([(b, one) for one in backbones])
    [found] = over_queries_and_seeds(data.moments, data.layout, weights[None]).estimates
    return found


def constant(means, queries=30):
    """Trainings whose queries all have the same value: only seeds vary."""
    return np.repeat(np.asarray(means)[:, None], queries, axis=1)


def test_where_only_seeds_vary_two_recipes_are_compared_by_students_two_sample_test(random):
    a, b = random.normal(0, 1, 4), random.normal(0, 1, 3)
    found, expected = between(rankers({"a": constant(a), "b": constant(b)}), "a", "b"), stats.ttest_ind(a, b)
    assert (found.p, found.df) == (pytest.approx(expected.pvalue), 5)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))


def test_seeds_of_all_recipes_tell_how_far_seeds_vary(random):
    """The contrast of two groups with the variance within all groups of an analysis of variance."""
    groups = {name: random.normal(0, 1, 3) for name in "abcd"}
    found = between(rankers({name: constant(one) for name, one in groups.items()}), "a", "b")
    within = sum(((one - one.mean()) ** 2).sum() for one in groups.values()) / 8
    t = (groups["a"].mean() - groups["b"].mean()) / np.sqrt(within * 2 / 3)
    assert (found.t(), found.df) == (pytest.approx(t), pytest.approx(8))


def test_where_seeds_share_a_prefix_they_are_pairs(random):
    prefix, a, b = random.normal(0, 5, 4), random.normal(0, 1, 4), random.normal(0, 1, 4)
    values = {"a": constant(prefix + a), "b": constant(prefix + b)}
    found, expected = between(rankers(values, prefixes=True), "a", "b"), stats.ttest_rel(prefix + a, prefix + b)
    assert (found.p, found.df) == (pytest.approx(expected.pvalue), 3)
    assert between(rankers(values), "a", "b").error > 3 * found.error


def test_prefixes_are_the_blocks_of_a_two_way_analysis_of_variance(random):
    table = random.normal(0, 3, (1, 3)) + random.normal(0, 1, (4, 3))  # [recipes, prefixes]
    found = between(
        rankers({name: constant(row) for name, row in zip("abcd", table, strict=True)}, prefixes=True), "a", "b"
    )
    rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    assert found.error**2 == pytest.approx((rest**2).sum() / 6 * 2 / 3)
    assert found.df == 6


def test_the_first_stage_is_compared_with_what_prefixes_vary_by_too(random):
    """Of a complete layout a's variance is (MS of prefixes + (recipes − 1) × MS rest) / (recipes × seeds)."""
    table = random.normal(0, 3, (4, 3)) + random.normal(0, 5, (1, 3))
    some = rankers({name: constant(row) for name, row in zip("abcd", table, strict=True)}, prefixes=True)
    some += rankers({"first": np.zeros((1, 30))}, untrained=("first",))
    found = between(some, "a", "first")
    rest = ((table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()) ** 2).sum() / 6
    of_prefixes = 4 * table.mean(0).var(ddof=1)
    assert found.error**2 == pytest.approx((of_prefixes + 3 * rest) / 12)


def test_unequal_prefixes_have_the_estimates_of_hendersons_third_method():
    """Checked by solving E[y'Py] = Σ variance × trace for the two quadratic forms; statsmodels' REML is near it."""
    table = {"a": [1.0, 2.5, 4.0], "b": [1.2, 2.4], "c": [0.7, 2.9, 3.6]}
    some = rankers({name: constant(row) for name, row in table.items()}, prefixes=True)
    found = between(some, "a", "b")
    y = np.array([value for row in table.values() for value in row])
    recipes = np.repeat(np.eye(3), [3, 2, 3], axis=0)
    prefixes = np.eye(3)[[0, 1, 2, 0, 1, 0, 1, 2]]
    both = np.hstack([recipes, prefixes])
    within = np.eye(8) - recipes @ np.linalg.pinv(recipes)
    rest = np.eye(8) - both @ np.linalg.pinv(both)
    own = y @ rest @ y / np.trace(rest)
    shared = (y @ within @ y - np.trace(within) * own) / np.trace(prefixes.T @ within @ prefixes)
    w = np.array([1 / 3] * 3 + [-1 / 2] * 2 + [0] * 3)
    assert found.error**2 == pytest.approx(w @ (own * np.eye(8) + shared * prefixes @ prefixes.T) @ w)


def test_seeds_and_queries_are_the_two_factors_of_an_analysis_of_variance(random):
    """Of a two-way layout with random effects, the mean's variance is (MS queries + MS seeds − MS rest) / cells."""
    values = random.normal(0, 0.3, (1, 40)) + random.normal(0, 0.2, (3, 1)) + random.normal(0, 0.1, (3, 40))
    of_queries = 3 * values.mean(0).var(ddof=1)
    of_seeds = 40 * values.mean(1).var(ddof=1)
    total = ((values - values.mean()) ** 2).sum()
    rest = (total - 39 * of_queries - 2 * of_seeds) / 78
    some = rankers({"a": values}) + rankers({"first": np.zeros((1, 40))}, untrained=("first",))
    found = between(some, "a", "first")
    assert found.error**2 == pytest.approx((of_queries + of_seeds - rest) / 120)
    assert 2 < found.df < 39


def test_backbones_add_their_own_seed_variances_whatever_their_seeds_are_called(random):
    seeds = {(b, r): random.normal(0, scale, 3) for b, scale in (("x", 1), ("y", 4)) for r in "ab"}
    some = [one for b in "xy" for one in rankers({r: constant(seeds[b, r]) for r in "ab"}, backbone=b)]
    found = between(some, "a", "b", ("x", "y"))
    variances = [np.mean([seeds[b, r].var(ddof=1) for r in "ab"]) * 2 / 3 for b in "xy"]
    assert found.error**2 == pytest.approx(sum(variances) / 4)
    assert found.df == pytest.approx(sum(variances) ** 2 / sum(v**2 / 4 for v in variances))


def test_a_recipe_with_one_seed_borrows_what_the_others_tell(random):
    values = {"a": constant(random.normal(0, 1, 5)), "b": constant([0.3])}
    found, several = between(rankers(values), "a", "b"), values["a"][:, 0]
    assert found.error**2 == pytest.approx(several.var(ddof=1) * (1 / 5 + 1))
    given_run = between(rankers(values, untrained=("b",)), "a", "b")
    assert given_run.error**2 == pytest.approx(several.var(ddof=1) / 5)


def test_nothing_is_known_of_recipes_that_have_one_seed_each(random):
    values = {name: random.normal(0, 1, (1, 30)) for name in "abc"}
    assert between(rankers(values), "a", "b").df == 0
    some = rankers({name: random.normal(0, 1, (2, 30)) for name in "ab"}, backbone="x") + rankers(values, backbone="y")
    assert between(some, "a", "b", ("x",)).df > 0
    assert between(some, "a", "b", ("x", "y")).df == 0


def test_seeds_that_vary_eight_times_as_much_are_noticed_and_do_not_make_the_others_look_uncertain(random):
    data = Trainings.align(
        rankers({"calm": constant(random.normal(0, 0.1, 8)), "calm too": constant(random.normal(0, 0.1, 8)),
                 "wild": constant(random.normal(0, 3, 8)), "wild too": constant(random.normal(0, 3, 8))})
    )  # fmt: skip
    couples = [([(a, "")], [(b, "")]) for a, b in (("calm", "calm too"), ("wild", "wild too"))]
    calm, wild = compare_all(data, couples, samples=10)
    assert calm.uneven
    assert 4 * calm.recipes.error < wild.recipes.error


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.booleans())
def test_neither_the_numbers_of_seeds_nor_the_order_of_rows_change_an_answer(seed, prefixes):
    random = np.random.default_rng(seed)
    backbones = ("x", "y")
    values = {(b, r): random.normal(0, 1, (int(random.integers(2, 5)), 7)) for b in backbones for r in "abc"}
    some = [one for b in backbones for one in rankers({r: values[b, r] for r in "abc"}, backbone=b, prefixes=prefixes)]
    shuffled = list(some)
    plain_random.Random(seed).shuffle(shuffled)
    # Relabelled: the prefixes of a backbone have other names, the trainings and the queries come in another order.
    renamed = [
        Training(
            recipe=one.recipe,
            backbone=one.backbone,
            prefix=one.prefix and f"{9 - int(one.prefix[1:])}",
            values={"x": dict(reversed(one.values["x"].items()))},
        )
        for one in shuffled
    ]
    couples = [([(a, b) for b in backbones], [(c, b) for b in backbones]) for a, c in ("ab", "ac", "bc")]
    before, after = (compare_all(Trainings.align(each), couples, samples=200) for each in (some, renamed))
    for one, other in zip(before, after, strict=True):
        assert other.difference == pytest.approx(one.difference)
        assert (other.models.p, other.recipes.p) == pytest.approx((one.models.p, one.recipes.p), rel=1e-9)
        assert other.randomisation_p == one.randomisation_p
        assert other.recipes.interval == pytest.approx(one.recipes.interval)


def test_a_true_null_hypothesis_is_rejected_as_often_as_stated_though_seeds_differ():
    random = np.random.default_rng(4)
    models, recipes = [], []
    for _ in range(300):
        values = {
            r: random.normal(0, 0.15, (1, 50)) + random.normal(0, 0.05, (2, 1)) + random.normal(0, 0.07, (2, 50))
            for r in "abc"
        }
        [found] = compare_all(Trainings.align(rankers(values)), [([("a", "")], [("b", "")])], samples=1)
        models.append(found.models.p)
        recipes.append(found.recipes.p)
    assert np.mean(np.array(recipes) <= 0.05) < 0.08
    assert np.mean(np.array(models) <= 0.05) > 0.12
