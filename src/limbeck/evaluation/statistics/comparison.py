"""Comparisons of systems: two questions, always both, each with its own interval, p-value and words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.evaluation.statistics.multiple import LEVEL
from limbeck.evaluation.statistics.resampling import randomisation_tests
from limbeck.evaluation.statistics.seeds import UNEVEN, over_queries_and_seeds
from limbeck.evaluation.statistics.student import (
    Estimate,
    check_margin,
    equivalence,
    minimum_detectable_difference,
    over_queries,
    power,
)
from limbeck.evaluation.statistics.trainings import Floats, Layout, Training, Trainings, Values

Interval = tuple[float, float]

Systems = Sequence[tuple[str, str]]
"""(recipe, backbone) of what a mean is taken over: one, or a recipe on several backbones."""

ENOUGH_COLLECTIONS = 5
"""For an interval over collections, which then covers the truth as often as stated (benchmarks/error_rates.py)."""

ONE_QUERY = "a collection has a single query, which says nothing about others"
ONE_SEED = "no recipe{} has a second seed, so what other seeds would change is not known"
UNTRAINED = "neither side was trained, so no seed is drawn"


@dataclass(frozen=True)
class Answer:
    """The answer to one question about a difference.

    Attributes:
        p: two-sided p-value of no difference, not corrected; that of the t-test whose interval this is.
        interval: 95 % t interval; None without spread.
        error, df: standard error and its degrees of freedom.
        detectable: the smallest true difference that the test finds with power 0.8.
        equivalence_p: p-value of the claim that the difference is within the margin; None without a margin.
        margin_power: chance of finding a true difference as large as the margin; None without a margin.
    """

    p: float
    interval: Interval | None
    error: float
    df: float
    detectable: float | None
    equivalence_p: float | None
    margin_power: float | None


@dataclass(frozen=True)
class Comparison:
    """Two systems, a and b, on the same queries. No p-value is corrected yet (see `tukey_holm`, `holm`).

    Attributes:
        difference: mean of a − b; positive where a is better. Over several collections, the mean of their means.
        models: the answer for *these models*: queries are drawn, the trainings are those at hand. None for a
            collection of a single query.
        recipes: the answer for *these recipes*: queries and seeds are drawn. None where `unknown` says why.
        randomisation_p: p-value of the randomisation test for these models, which needs no normal distribution.
        collections_interval: 95 % t interval over collections and seeds; None for fewer than five collections, which
            say too little of others.
        effect_size: the difference in standard deviations of a query's difference (Cohen 1988, d_z; over several
            collections, the root of their mean variance); None without spread.
        seeds: of a and of b.
        n: number of queries; wins + ties + losses.
        wins, ties, losses: queries on which a is better than, equal to and worse than b, values averaged over seeds.
        carried_by: (query, its difference) of the few queries that carry the mean, where a few do; see
            `carrying_queries`.
        uneven: seeds of some recipes vary much more than those of others of the backbone.
    """

    difference: float
    models: Answer | None
    recipes: Answer | None
    unknown: str
    randomisation_p: float
    collections_interval: Interval | None
    effect_size: float | None
    seeds: tuple[int, int]
    n: int
    wins: int
    ties: int
    losses: int
    carried_by: tuple[tuple[str, float], ...]
    uneven: bool


def compare(
    values_a: Values | Sequence[Values], values_b: Values | Sequence[Values], *, samples: int = 100_000, seed: int = 0
) -> Comparison:
    """Compare two systems by their values per query id, in whatever order these come.

    Args:
        values_a, values_b: of one run, or of several: those of one system's seeds. The only run of a system is taken
            as one that no seed changes where the other has one too, else as one training of several that could be.
        samples: of the randomisation test.

    Raises:
        DataError: unless both hold the same queries, at least one, all finite.

    >>> found = compare({"q1": 0.5, "q2": 1.0, "q3": 0.4}, {"q1": 0.2, "q2": 0.6, "q3": 0.2})
    >>> round(found.difference, 3), found.wins, round(found.models.p, 3), found.recipes
    (0.3, 3, 0.035, None)
    """
    sides = [[side] if isinstance(side, Mapping) else list(side) for side in (values_a, values_b)]
    rankers = [
        Training(recipe=name, values={"": values}) for name, side in zip("ab", sides, strict=True) for values in side
    ]
    couple = ([("a", "")], [("b", "")])
    return compare_all(Trainings.align(rankers), [couple], samples=samples, seed=seed)[0]


def compare_all(
    data: Trainings,
    couples: Sequence[tuple[Systems, Systems]],
    *,
    margin: float | None = None,
    level: float = LEVEL,
    samples: int = 100_000,
    seed: int = 0,
) -> list[Comparison]:
    """Compare many pairs of systems, sharing the random draws and the seed variances: one matrix product for all.

    Args:
        data: all trainings; also those of systems that are not compared tell how far seeds vary.
        couples: (a, b), each a system, or a recipe on several backbones.
        margin: of equivalence, in the measure's unit.
        level: at which a difference counts as found, for `detectable` and `margin_power`; divide it by the size of the
            family where p-values will be corrected.
        samples: of the randomisation test.
    """
    if margin is not None:
        check_margin(margin)
    if not couples:
        return []
    weights = np.stack([data.mean(a) - data.mean(b) for a, b in couples])
    differences = data.differences(weights)
    p_values = randomisation_tests(np.concatenate(_scaled(differences), axis=1), samples, seed)
    models = list(over_queries(data.moments, weights))
    answer = over_queries_and_seeds(data.moments, data.layout, weights)
    wide: list[Estimate | None] = [None] * len(couples)
    if len(data.collections) >= ENOUGH_COLLECTIONS:
        wide = list(over_queries_and_seeds(data.over_collections(), data.layout, weights).estimates)
    found = []
    for row, recipes in enumerate(answer.estimates):
        own = [one[row] for one in differences]
        signs = np.sign(np.concatenate(own))
        unknown = _unknown(data, weights[row], models[row], recipes)
        known = wide[row]
        found.append(
            Comparison(
                difference=models[row].difference,
                models=None if models[row].df == 0 else _answer(models[row], margin, level, len(signs)),
                recipes=None if unknown else _answer(recipes, margin, level, len(signs)),
                unknown=unknown,
                randomisation_p=float(p_values[row]),
                collections_interval=None if known is None else known.interval(),
                effect_size=effect_size(own),
                seeds=(_trainings(weights[row] > 0), _trainings(weights[row] < 0)),
                n=len(signs),
                wins=int((signs > 0).sum()),
                ties=int((signs == 0).sum()),
                losses=int((signs < 0).sum()),
                carried_by=carrying_queries(own, data.queries, models[row].p < level),
                uneven=_uneven(data.layout, weights[row], answer.unevenness),
            )
        )
    return found


def effect_size(differences: Sequence[Floats]) -> float | None:
    """The mean difference in standard deviations of a query's difference (see `Comparison`)."""
    spread = math.sqrt(np.mean([one.var(ddof=1) if len(one) > 1 else 0.0 for one in differences]))
    difference = float(np.mean([one.mean() for one in differences]))
    if difference == 0:
        return 0.0
    # Exactly equal differences have a spread of nothing but rounding.
    return difference / spread if spread > 1e-9 * abs(difference) else None


def _answer(known: Estimate, margin: float | None, level: float, queries: int) -> Answer:
    without = known.error == 0 and known.difference != 0
    return Answer(
        # Of equal differences alone, t would say that none of another sign can come, however few they are: of n, the
        # randomisation test says 2 / 2^n.
        p=min(1.0, 2.0 ** (1 - queries)) if without else known.p,
        interval=None if without else known.interval(),
        error=known.error,
        df=known.df,
        detectable=minimum_detectable_difference(known, level),
        equivalence_p=None if margin is None else equivalence(known, margin),
        margin_power=None if margin is None else power(known, margin, level),
    )


def _unknown(data: Trainings, weights: Floats, models: Estimate, recipes: Estimate) -> str:
    """Why there is no answer for the recipes; nothing where there is one."""
    trained = data.layout.backbones[weights != 0] >= 0
    if models.df == 0:
        return ONE_QUERY
    if not trained.any():
        return UNTRAINED
    if recipes.df > 0:
        return ""
    places = np.flatnonzero(weights)[trained]
    recipes_of = data.layout.recipes
    alone = {
        data.rankers[place].backbone
        for place in places
        if all(
            (recipes_of == recipe).sum() < 2
            for recipe in np.unique(recipes_of[data.layout.backbones == data.layout.backbones[place]])
        )
    }
    names = sorted(filter(None, alone))
    return ONE_SEED.format(f" on {' and '.join(names)}" if names else "")


def _uneven(layout: Layout, weights: Floats, unevenness: Mapping[int, Floats]) -> bool:
    backbones = {int(one) for one in layout.backbones[weights != 0]}
    return any(float(p) < UNEVEN for backbone, p in unevenness.items() if backbone in backbones)


def _trainings(chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    return int(chosen.sum())


def _scaled(differences: Sequence[Floats]) -> list[Floats]:
    """Differences, scaled so that the sum over all queries is the mean difference."""
    return [one / (one.shape[-1] * len(differences)) for one in differences]


SKEWED = 0.3
"""Skewness of a mean beyond which Edgeworth's first term alone makes a one-sided error of .025 one of .05."""
NAMED = 5
FEW = 0.05
"""The share of queries that are a few (one at least)."""


def carrying_queries(
    differences: Sequence[Floats], queries: Sequence[Sequence[str]], found: bool
) -> tuple[tuple[str, float], ...]:
    """The few queries that carry a mean difference, largest share first, with their differences; none where none do.

    A few carry it where the skewness of the mean is beyond 0.3, so that the t-test's error in the tail is no longer
    what it says; or, of a difference that was `found`, where without one in twenty queries its sign would be another.
    With rare large gains and no difference on average, such a test rejects up to .40 of true null hypotheses
    (benchmarks/error_rates.py), and so does a randomisation test.

    Args:
        differences: per collection [queries].
        queries: per collection, their ids.

    Source: Johnson 1978, Modified t Tests and Confidence Intervals for Asymmetrical Populations; Hall 1992, The
    Bootstrap and Edgeworth Expansion (P(t < −z) gains skewness × (2z² + 1) φ(z) / 6).
    """
    several = len(differences) > 1
    scales = [1 / len(one) / len(differences) for one in differences]
    centred = np.concatenate([(one - one.mean()) * scale for one, scale in zip(differences, scales, strict=True)])
    second, third = float((centred**2).sum()), float((centred**3).sum())
    if second <= 1e-24:
        return ()
    ids = [f"{query} ({place + 1})" if several else query for place, some in enumerate(queries) for query in some]
    values = np.concatenate(list(differences))
    shares = np.concatenate([one * scale for one, scale in zip(differences, scales, strict=True)])
    if abs(third) > SKEWED * second**1.5:
        weight = centred**3 * np.sign(third)
        goal = weight[weight > 0].sum() / 2
    else:
        few = max(1, int(FEW * len(values)))
        weight = shares * np.sign(shares.sum())
        goal = weight.sum()
        if not found or np.sort(weight)[::-1][:few].sum() < goal:
            return ()
    order = np.argsort(-weight, kind="stable")
    count = int(np.searchsorted(np.cumsum(weight[order]), goal)) + 1
    return tuple((ids[place], float(values[place])) for place in order[: min(count, NAMED)])
