"""Paired comparisons of a study's recipes: with the first stage, and with one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import numpy as np

from limbeck.evaluation import Comparison, compare_all, holm, pair
from limbeck.evaluation.statistics.comparison import Interval
from limbeck.study.plan.audit import Configuration

LEVEL = 0.05

Values = Mapping[str, float]
"""Query id → value."""


@dataclass(frozen=True)
class Trained:
    """One recipe of one backbone.

    Attributes:
        values: test collection → measure → seed → query id → value.
    """

    backbone: str
    recipe: str
    values: Mapping[str, Mapping[str, Mapping[int, Values]]]

    @property
    def name(self) -> Configuration:
        return Configuration(self.backbone, self.recipe)

    def seeds(self, collection: str, measure: str) -> list[Values]:
        """Every finished seed's values, in the order of seeds."""
        by_seed = self.values.get(collection, {}).get(measure, {})
        return [by_seed[seed] for seed in sorted(by_seed)]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The statistics of two systems, as `limbeck.evaluation.Comparison` has them, corrected over their family.

    Attributes:
        measure: what was compared.
        ci: 95 % interval of the difference, over queries and seeds.
        queries: on which both were measured; wins + ties + losses.
        corrected_p: the randomisation test's p-value, Holm-corrected.
        corrected_seeds_p, corrected_equivalence_p: likewise; None where there are no several seeds, and no margin.
        significant: see `decisive_p`.
    """

    measure: str
    difference: float
    ci: Interval
    t_p: float
    randomisation_p: float
    seeds_p: float | None
    equivalence_p: float | None
    effect_size: float | None
    detectable: float | None
    queries: int
    wins: int
    ties: int
    losses: int
    corrected_p: float
    corrected_seeds_p: float | None
    corrected_equivalence_p: float | None
    significant: bool

    @property
    def decisive_p(self) -> float:
        """The corrected p-value that a mark rests on: over queries and seeds where there are several, else over
        queries."""
        return self.corrected_p if self.corrected_seeds_p is None else self.corrected_seeds_p


@dataclass(frozen=True, kw_only=True)
class FirstStageDifference(Difference):
    """A recipe less the first stage, on one collection or suite.

    Attributes:
        seeds: the mean of each finished seed; `mean` and `std` (sample, 0 with one seed) are over these.
        first_stage: its mean.
    """

    backbone: str
    recipe: str
    collection: str
    seeds: tuple[float, ...]
    mean: float
    std: float
    first_stage: float


@dataclass(frozen=True, kw_only=True)
class RecipeDifference(Difference):
    """Two recipes of a backbone on one collection; `differs` are the factors beside the objective in which they do."""

    collection: str
    a: Configuration
    b: Configuration
    differs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MeanDifference(Difference):
    """Two recipes, averaged over the backbones and collections that both have.

    Attributes:
        ahead, behind: backbones on which a's mean is higher, and on which b's is.
        collections_ci: 95 % interval over collections and seeds; None where there are too few collections.
        differs: the factors beside the objective in which they differ on any backbone.
    """

    a: str
    b: str
    backbones: tuple[str, ...]
    ahead: tuple[str, ...]
    behind: tuple[str, ...]
    collections_ci: Interval | None
    differs: tuple[str, ...]


AnyDifference = TypeVar("AnyDifference", bound=Difference)
Fact = tuple[Mapping[str, Any], Comparison]
"""What a row says beside its statistics, and these before they are corrected."""


def compare_with_first_stage(
    trained: Sequence[Trained], first_stage: Mapping[str, Mapping[str, Values]], measures: Sequence[str]
) -> tuple[FirstStageDifference, ...]:
    """Every recipe on every test collection against the first stage: collection → measure → query id → value.

    Values are averaged over seeds, so that queries are what is drawn; the interval is drawn over queries and seeds. The
    p-values are Holm-corrected over all recipes and collections of one measure.
    """
    rows: list[FirstStageDifference] = []
    for measure in measures:
        found = {collection: [one for one in trained if one.seeds(collection, measure)] for collection in first_stage}
        size = sum(map(len, found.values()))
        family: list[Fact] = []
        for collection, some in found.items():
            first = first_stage[collection][measure]
            seeds = [one.seeds(collection, measure) for one in some]
            compared = _compare(collection, [(of_one, [first]) for of_one in seeds], size)
            family += [
                ({**vars(one.name), "collection": collection, "measure": measure, **_means(of_one, first)}, result)
                for one, of_one, result in zip(some, seeds, compared, strict=True)
            ]
        rows += _corrected(FirstStageDifference, family)
    return tuple(rows)


def compare_recipes(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    differs: Mapping[tuple[str, str, str], Sequence[str]],
    margin: float | None = None,
) -> tuple[RecipeDifference, ...]:
    """Every two recipes of a backbone, Holm-corrected over those of one collection.

    Args:
        differs: (backbone, recipe a, recipe b) → the factors beside the objective in which they differ.
        margin: of equivalence, in the measure's unit.
    """
    rows: list[RecipeDifference] = []
    for collection in collections:
        couples = [
            (a, b)
            for a, b in combinations(trained, 2)
            if a.backbone == b.backbone and a.seeds(collection, measure) and b.seeds(collection, measure)
        ]
        sides = [(a.seeds(collection, measure), b.seeds(collection, measure)) for a, b in couples]
        facts = [
            {
                "collection": collection,
                "measure": measure,
                "a": a.name,
                "b": b.name,
                "differs": tuple(differs.get((a.backbone, a.recipe, b.recipe), ())),
            }
            for a, b in couples
        ]
        compared = _compare(collection, sides, len(couples), margin)
        rows += _corrected(RecipeDifference, list(zip(facts, compared, strict=True)))
    return tuple(rows)


def compare_on_suites(
    trained: Sequence[Trained],
    first_stage: Mapping[str, Mapping[str, Values]],
    measures: Sequence[str],
    suites: Mapping[str, Sequence[str]],
) -> tuple[FirstStageDifference, ...]:
    """Every recipe against the first stage on every suite (name → members), Holm-corrected over those of a measure.

    A recipe's seeds are those that it has on every member; a mean is the mean of the members' means.
    """
    rows: list[FirstStageDifference] = []
    for measure in measures:
        found = {
            suite: [one for one in trained if all(one.seeds(name, measure) for name in members)]
            for suite, members in suites.items()
        }
        level = LEVEL / max(1, sum(map(len, found.values())))
        family: list[Fact] = []
        for suite, some in found.items():
            first = {name: [first_stage[name][measure]] for name in suites[suite]}
            sides = [{name: one.seeds(name, measure) for name in suites[suite]} for one in some]
            compared = compare_all([pair(own, first) for own in sides], level=level)
            family += [
                ({**vars(one.name), "collection": suite, "measure": measure, **_suite_means(own, first)}, result)
                for one, own, result in zip(some, sides, compared, strict=True)
            ]
        rows += _corrected(FirstStageDifference, family)
    return tuple(rows)


def compare_over_backbones(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    differs: Mapping[tuple[str, str, str], Sequence[str]],
    margin: float | None = None,
) -> tuple[MeanDifference, ...]:
    """Every two recipes, averaged over the backbones and collections that both have, Holm-corrected over all pairs.

    A query's value is its mean over backbones, one seed of each at a time; backbones are those at hand. On the
    backbones `ahead` a's mean is higher, on those `behind` b's. A backbone lacks a recipe that has no seed on some
    collection.
    """
    recipes = list(dict.fromkeys(one.recipe for one in trained))
    found = {
        (one.recipe, one.backbone): {name: one.seeds(name, measure) for name in collections}
        for one in trained
        if collections and all(one.seeds(name, measure) for name in collections)
    }
    couples = []
    for a, b in combinations(recipes, 2):
        backbones = [name for recipe, name in found if recipe == a and (b, name) in found]
        if backbones:
            couples.append(
                (a, b, backbones, pair(*(_averaged([found[side, n] for n in backbones]) for side in (a, b))))
            )
    compared = compare_all([both for *_, both in couples], margin=margin, level=LEVEL / max(1, len(couples)))
    facts = [
        {
            "a": a,
            "b": b,
            "measure": measure,
            "backbones": tuple(backbones),
            "ahead": tuple(name for name in backbones if _mean(found[a, name]) > _mean(found[b, name])),
            "behind": tuple(name for name in backbones if _mean(found[a, name]) < _mean(found[b, name])),
            "collections_ci": result.collections_interval,
            "differs": tuple(dict.fromkeys(f for name in backbones for f in differs.get((name, a, b), ()))),
        }
        for (a, b, backbones, _), result in zip(couples, compared, strict=True)
    ]
    return tuple(_corrected(MeanDifference, list(zip(facts, compared, strict=True))))


def _averaged(backbones: Sequence[Mapping[str, Sequence[Values]]]) -> dict[str, list[Values]]:
    """Collection → one mapping per seed, means over backbones; as many seeds as every backbone has everywhere."""
    seeds = min(len(values) for one in backbones for values in one.values())
    return {
        name: [
            {
                query: sum(one[name][seed][query] for one in backbones) / len(backbones)
                for query in backbones[0][name][seed]
            }
            for seed in range(seeds)
        ]
        for name in backbones[0]
    }


def _mean(values: Mapping[str, Sequence[Values]]) -> float:
    """Mean over collections of the mean over seeds and queries."""
    return float(np.mean([np.mean([list(seed.values()) for seed in seeds]) for seeds in values.values()]))


def _suite_means(own: Mapping[str, Sequence[Values]], first: Mapping[str, Sequence[Values]]) -> dict[str, Any]:
    members = [_means(own[name], first[name][0]) for name in own]
    means = np.mean([one["seeds"] for one in members], axis=0)
    return {
        "seeds": tuple(means.tolist()),
        "mean": float(means.mean()),
        "std": float(means.std(ddof=1)) if len(means) > 1 else 0.0,
        "first_stage": float(np.mean([one["first_stage"] for one in members])),
    }


def _compare(
    collection: str,
    sides: Sequence[tuple[Sequence[Values], Sequence[Values]]],
    family: int,
    margin: float | None = None,
) -> list[Comparison]:
    """Pairs of systems, given by their seeds. `family`: how many are corrected together."""
    pairs = [pair({collection: a}, {collection: b}) for a, b in sides]
    return compare_all(pairs, margin=margin, level=LEVEL / max(1, family))


def _statistics(found: Comparison) -> dict[str, Any]:
    return {
        "difference": found.difference,
        "ci": (found.ci_low, found.ci_high),
        "t_p": found.t_p,
        "randomisation_p": found.randomisation_p,
        "seeds_p": found.seeds_p,
        "equivalence_p": found.equivalence_p,
        "effect_size": found.effect_size,
        "detectable": found.detectable,
        "queries": found.n,
        "wins": found.wins,
        "ties": found.ties,
        "losses": found.losses,
    }


def _means(seeds: Sequence[Values], first_stage: Values) -> dict[str, Any]:
    means = [sum(seed.values()) / len(seed) for seed in seeds]
    return {
        "seeds": tuple(means),
        "mean": float(np.mean(means)),
        "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        "first_stage": sum(first_stage.values()) / len(first_stage),
    }


def _corrected(kind: type[AnyDifference], family: Sequence[Fact]) -> list[AnyDifference]:
    """A family's rows: p-values Holm-corrected, of tests over seeds and of equivalence over those that have one.

    `significant` rests on `corrected_seeds_p` where there is one: over queries alone, simulated systems that differ in
    nothing but their seeds differ significantly in 12 to 17 % of cases at a level of 5 % (benchmarks/error_rates.py).
    """
    results = [result for _, result in family]
    corrected = holm([result.randomisation_p for result in results])
    seeds = iter(holm([result.seeds_p for result in results if result.seeds_p is not None]))
    equivalent = iter(holm([result.equivalence_p for result in results if result.equivalence_p is not None]))
    rows = []
    for (facts, result), p in zip(family, corrected, strict=True):
        seeds_p = None if result.seeds_p is None else next(seeds)
        rows.append(
            kind(
                **facts,
                **_statistics(result),
                corrected_p=p,
                corrected_seeds_p=seeds_p,
                corrected_equivalence_p=None if result.equivalence_p is None else next(equivalent),
                significant=(p if seeds_p is None else seeds_p) < LEVEL,
            )
        )
    return rows
