import itertools

import numpy as np
import pytest

from limbeck.core.errors import DataError
from limbeck.evaluation import Figures, analyse_factors
from limbeck.evaluation.statistics.components import level_effects, terms
from limbeck.evaluation.statistics.multiple import all_pairs_level, tukey_holm

BACKBONE = np.array([-0.1, -0.02, 0.05, 0.07])
OBJECTIVE = np.array([-0.06, 0.02, 0.04])


def figures(value, levels=(4, 3), collections=6, seeds=1, keep=lambda *_: True):
    """Figures of the crossing of factors; `value` gives [seeds, collections] from a configuration's levels."""
    rows = [row for row in itertools.product(*map(range, levels)) if keep(*row)]
    names = ("backbone", "objective", "negatives")[: len(levels)]
    return Figures(
        names,
        tuple(tuple(f"{name[0]}{n}" for n in range(size)) for name, size in zip(names, levels, strict=True)),
        np.array(rows),
        tuple(f"c{n}" for n in range(collections)),
        tuple(np.broadcast_to(value(*row), (seeds, collections)) for row in rows),
    )


def drawn(random, collections=8, seeds=3, of_seeds=0.01):
    """Effects of four backbones and three objectives, which differ by collection, and noise of seeds."""
    places = random.normal(0, 0.1, collections)
    of_backbone = BACKBONE[:, None] + random.normal(0, 0.02, (4, collections))
    of_objective = OBJECTIVE[:, None] + random.normal(0, 0.02, (3, collections))
    return figures(
        lambda b, o: (
            places
            + of_backbone[b]
            + of_objective[o]
            + random.normal(0, of_seeds, (seeds, 1))
            + random.normal(0, of_seeds, (seeds, collections))
        ),
        collections=collections,
        seeds=seeds,
    )


def shares(found):
    return {share.term: share.share for share in found.shares}


def test_sums_of_squares_of_an_unbalanced_design_are_statsmodels():
    """statsmodels 0.15.0: anova_lm(ols("y ~ (C(a) + C(b) + C(c))**2", data).fit(), typ=2) and Sum contrasts."""
    gone = {(0, 1, 1), (2, 2, 0), (3, 0, 1), (1, 1, 0)}
    rows = [row for row in itertools.product(range(4), range(3), range(2)) if row not in gone]
    levels = np.array(rows)
    y = np.array([(7*a + 3*b*b + 5*c + a*b + 2*a*c*c + (a*5 + b*7 + c*11) % 6) / 10 for a, b, c in rows])  # fmt: skip
    found = {term.name: (term.df, ((term.basis.T @ y) ** 2).sum()) for term in terms(levels, "abc")}
    expected = {
        "a": (3, 21.713095), "b": (2, 6.407867), "c": (1, 2.402500), "a × b": (6, 0.622571), "a × c": (3, 0.089333),
        "b × c": (2, 0.036000), "higher interactions": (2, 0.054000),
    }  # fmt: skip
    for name, (df, squares) in expected.items():
        assert found[name] == (df, pytest.approx(squares, abs=1e-6)), name
    assert level_effects(levels, 0) @ y == pytest.approx([-1.453835, -0.486165, 0.524511, 1.415488], abs=1e-6)
    assert level_effects(levels, 1) @ y == pytest.approx([-0.620050, -0.166667, 0.786717], abs=1e-6)


def test_difficulty_is_left_out_of_the_share_beside():
    random = np.random.default_rng(0)
    found = analyse_factors(drawn(random), samples=10)
    assert [one.without_collection for one in found.shares if one.term == "collection"] == [None]
    assert sum(one.without_collection or 0 for one in found.shares) == pytest.approx(1)


def test_the_interval_of_a_span_is_that_of_the_correction():
    """It leaves out 0 just where the smallest of all pairs' p-values, corrected, is below .05."""
    for df, means in ((3.0, 3), (12.5, 4), (200.0, 9)):
        level = all_pairs_level(df, means)
        pairs = means * (means - 1) // 2
        for p, shown in ((level * 0.99, True), (level * 1.01, False)):
            assert (tukey_holm([p] + [1.0] * (pairs - 1), [df] * pairs, means)[0] < 0.05) == shown
    random = np.random.default_rng(0)
    data = drawn(random)
    three = analyse_factors(data, samples=10).spans[1]
    only_two = figures(lambda b, o: data.values[b * 3 + 2 * o], levels=(4, 2), collections=8, seeds=3)
    two = analyse_factors(only_two, samples=10).spans[1]
    assert (three.highest, three.lowest, three.difference) == ("o2", "o0", pytest.approx(two.difference))
    assert three.models[1] - three.models[0] > 1.1 * (two.models[1] - two.models[0])


def test_terms_of_a_balanced_design_add_up_to_the_variance_of_the_figures():
    random = np.random.default_rng(0)
    data = figures(lambda b, o: random.normal(0, 1, (1, 6)))
    found = analyse_factors(data, samples=10)
    values = np.concatenate(data.values)
    assert sum(share.variance for share in found.shares) == pytest.approx(values.var())
    assert sum(shares(found).values()) == pytest.approx(1)
    assert [share.term for share in found.shares] == [
        "collection", "backbone", "objective", "backbone × objective", "backbone × collection",
        "objective × collection", "backbone × objective × collection",
    ]  # fmt: skip
    assert sum(share.df for share in found.shares) == values.size - 1


def test_effects_without_noise_are_found_as_they_are():
    places = np.array([0.0, 0.3, 0.1, 0.2, 0.5])
    found = analyse_factors(figures(lambda b, o: places + BACKBONE[b] + OBJECTIVE[o], collections=5))
    by_name = {share.term: share.variance for share in found.shares}
    assert by_name["backbone"] == pytest.approx(BACKBONE.var())
    assert by_name["objective"] == pytest.approx(OBJECTIVE.var())
    assert by_name["collection"] == pytest.approx(places.var())
    assert by_name["backbone × objective"] == pytest.approx(0, abs=1e-12)
    effects = {one.level: one.effect for one in found.effects}
    assert effects["b0"] == pytest.approx(-0.1 - BACKBONE.mean())
    [ratio] = found.ratios
    assert (ratio.a, ratio.b, ratio.ratio) == (
        "objective", "backbone", pytest.approx(OBJECTIVE.std() / BACKBONE.std())
    )  # fmt: skip
    assert [(one.highest, one.lowest) for one in found.spans] == [("b3", "b0"), ("o2", "o0")]
    assert [one.difference for one in found.spans] == pytest.approx([0.17, 0.1])
    assert ratio.interval == pytest.approx((ratio.ratio, ratio.ratio))


def test_what_seeds_add_is_taken_off_and_shown_as_theirs():
    random = np.random.default_rng(0)
    found = [analyse_factors(drawn(random, of_seeds=0.05), samples=10) for _ in range(100)]
    mean = {
        name: np.mean([share.variance for one in found for share in one.shares if share.term == name])
        for name in ("seed", "seed × collection", "objective × collection")
    }
    assert mean["seed"] == pytest.approx(0.05**2 * 9 / 8, rel=0.1)
    assert mean["seed × collection"] == pytest.approx(0.05**2 * 7 / 8, rel=0.1)
    assert mean["objective × collection"] == pytest.approx(0.02**2 * 2 / 3 * 7 / 8, rel=0.25)


def test_intervals_cover_what_other_collections_and_seeds_would_show():
    random = np.random.default_rng(1)
    truth = OBJECTIVE.std() / BACKBONE.std()
    ratio = span = effect = 0
    for _ in range(80):
        found = analyse_factors(drawn(random, collections=12), samples=200)
        [one] = found.ratios
        ratio += one.interval[0] <= truth <= one.interval[1]
        low, high = found.spans[1].recipes
        span += low <= 0.1 <= high
        low, high = next(e.recipes for e in found.effects if e.level == "o0")
        effect += low <= OBJECTIVE[0] <= high
    assert min(ratio, span, effect) > 0.87 * 80


def test_a_term_without_effect_may_have_no_share():
    """Drawing adds a variance of its own to every sum of squares, which would keep the interval off 0."""
    found = analyse_factors(drawn(np.random.default_rng(0), of_seeds=0.03))
    low, high = next(share.interval for share in found.shares if share.term == "backbone × objective")
    assert low == 0 < high < 0.1


def test_factors_that_go_together_share_what_they_explain_and_it_is_said():
    """Objectives 0 and 1 have negatives 0 always, objective 2 negatives 1: negatives cannot be told from objectives."""
    data = figures(
        lambda b, o, n: BACKBONE[b] + OBJECTIVE[o] + np.zeros(6),
        levels=(4, 3, 2),
        keep=lambda b, o, n: n == (o == 2),
    )
    found = analyse_factors(data)
    parts = {share.term: share for share in found.shares}
    assert (parts["negatives"].share, parts["negatives"].df) == (None, 0)
    assert parts["objective"].df == 1
    assert parts["objective"].variance == pytest.approx(0.08**2 / 4 * 8 / 12)
    assert parts["shared by factors"].variance == pytest.approx(OBJECTIVE.var() - parts["objective"].variance)
    assert any(note.startswith("negatives has no degree of freedom") for note in found.notes)
    assert any(note.startswith("objective has 1 of 2 degrees of freedom") for note in found.notes)
    assert {one.factor for one in found.effects} == {"backbone"}
    assert found.ratios == ()


def test_missing_configurations_leave_effects_unbiased():
    found = analyse_factors(
        figures(lambda b, o: BACKBONE[b] + OBJECTIVE[o] + np.zeros(6), keep=lambda b, o: (b, o) not in {(0, 0), (3, 2)})
    )
    effects = {one.level: one.effect for one in found.effects}
    assert effects["o0"] == pytest.approx(OBJECTIVE[0] - OBJECTIVE.mean())
    assert effects["b3"] == pytest.approx(BACKBONE[3] - BACKBONE.mean())
    assert "shared by factors" in shares(found)


def test_what_cannot_be_drawn_has_no_interval_and_it_is_said():
    random = np.random.default_rng(0)
    one = analyse_factors(figures(lambda b, o: random.normal(0, 1, (1, 1)), collections=1))
    assert (one.units, one.drawn) == ("", ())
    assert all(share.interval is None and "collection" not in share.term for share in one.shares)
    assert all(each.models is each.recipes is None for each in (*one.effects, *one.spans))
    assert any("differences have no interval" in note for note in one.notes)
    unseeded = analyse_factors(figures(lambda b, o: random.normal(0, 1, (1, 6))))
    assert unseeded.units == "collections"
    assert all(each.models and each.recipes is None for each in (*unseeded.effects, *unseeded.spans))
    seeds = analyse_factors(figures(lambda b, o: random.normal(0, 1, (2, 3)), collections=3, seeds=2))
    assert seeds.drawn == ("seeds",)
    assert "seed" in shares(seeds)
    with pytest.raises(DataError, match="two configurations"):
        analyse_factors(figures(lambda b, o: np.zeros(6), levels=(1, 1)))
