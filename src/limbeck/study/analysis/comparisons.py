"""Paired comparisons of a study's recipes: with the first stage, and with one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from limbeck.evaluation import Comparison, compare_all, holm, pair

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
    def name(self) -> dict[str, str]:
        return {"backbone": self.backbone, "recipe": self.recipe}

    def seeds(self, collection: str, measure: str) -> list[Values]:
        """Every finished seed's values, in the order of seeds."""
        by_seed = self.values.get(collection, {}).get(measure, {})
        return [by_seed[seed] for seed in sorted(by_seed)]


def compare_with_first_stage(
    trained: Sequence[Trained], first_stage: Mapping[str, Mapping[str, Values]], measures: Sequence[str]
) -> list[dict[str, Any]]:
    """Every recipe on every test collection against the first stage: collection → measure → query id → value.

    Values are averaged over seeds, so that queries are what is drawn; the interval is drawn over queries and seeds. The
    p-values are Holm-corrected over all recipes and collections of one measure.
    """
    rows = []
    for measure in measures:
        found = {collection: [one for one in trained if one.seeds(collection, measure)] for collection in first_stage}
        size = sum(map(len, found.values()))
        family = []
        for collection, some in found.items():
            first = first_stage[collection][measure]
            seeds = [one.seeds(collection, measure) for one in some]
            compared = _compare(collection, [(of_one, [first]) for of_one in seeds], size)
            family += [
                {**one.name, "collection": collection, "measure": measure, **_means(of_one, first), **statistics}
                for one, of_one, statistics in zip(some, seeds, compared, strict=True)
            ]
        rows += _corrected(family)
    return rows


def compare_recipes(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    differs: Mapping[tuple[str, str, str], Sequence[str]],
    margin: float | None = None,
) -> list[dict[str, Any]]:
    """Every two recipes of a backbone, Holm-corrected over those of one collection.

    Args:
        differs: (backbone, recipe a, recipe b) → the factors beside the objective in which they differ.
        margin: of equivalence, in the measure's unit.
    """
    rows = []
    for collection in collections:
        couples = [
            (a, b)
            for a, b in combinations(trained, 2)
            if a.backbone == b.backbone and a.seeds(collection, measure) and b.seeds(collection, measure)
        ]
        sides = [(a.seeds(collection, measure), b.seeds(collection, measure)) for a, b in couples]
        rows += _corrected(
            [
                {
                    "collection": collection,
                    "measure": measure,
                    "a": a.name,
                    "b": b.name,
                    **statistics,
                    "differs": list(differs.get((a.backbone, a.recipe, b.recipe), ())),
                }
                for (a, b), statistics in zip(couples, _compare(collection, sides, len(couples), margin), strict=True)
            ]
        )
    return rows


def compare_on_suites(
    trained: Sequence[Trained],
    first_stage: Mapping[str, Mapping[str, Values]],
    measures: Sequence[str],
    suites: Mapping[str, Sequence[str]],
) -> list[dict[str, Any]]:
    """Every recipe against the first stage on every suite (name → members), Holm-corrected over those of a measure.

    A recipe's seeds are those that it has on every member; a mean is the mean of the members' means.
    """
    rows = []
    for measure in measures:
        found = {
            suite: [one for one in trained if all(one.seeds(name, measure) for name in members)]
            for suite, members in suites.items()
        }
        level = LEVEL / max(1, sum(map(len, found.values())))
        family = []
        for suite, some in found.items():
            first = {name: [first_stage[name][measure]] for name in suites[suite]}
            sides = [{name: one.seeds(name, measure) for name in suites[suite]} for one in some]
            compared = compare_all([pair(own, first) for own in sides], level=level)
            family += [
                {**one.name, "collection": suite, "measure": measure, **_suite_means(own, first), **_statistics(result)}
                for one, own, result in zip(some, sides, compared, strict=True)
            ]
        rows += _corrected(family)
    return rows


def compare_over_backbones(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    differs: Mapping[tuple[str, str, str], Sequence[str]],
    margin: float | None = None,
) -> list[dict[str, Any]]:
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
    return _corrected(
        [
            {
                "a": a,
                "b": b,
                "measure": measure,
                "backbones": backbones,
                "ahead": [name for name in backbones if _mean(found[a, name]) > _mean(found[b, name])],
                "behind": [name for name in backbones if _mean(found[a, name]) < _mean(found[b, name])],
                **_statistics(result),
                "collections_ci": result.collections_interval and list(result.collections_interval),
                "differs": list(dict.fromkeys(f for name in backbones for f in differs.get((name, a, b), ()))),
            }
            for (a, b, backbones, _), result in zip(couples, compared, strict=True)
        ]
    )


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
        "seeds": means.tolist(),
        "mean": float(means.mean()),
        "std": float(means.std(ddof=1)) if len(means) > 1 else 0.0,
        "first_stage": float(np.mean([one["first_stage"] for one in members])),
    }


def _compare(
    collection: str,
    sides: Sequence[tuple[Sequence[Values], Sequence[Values]]],
    family: int,
    margin: float | None = None,
) -> list[dict[str, Any]]:
    """The statistics of pairs of systems, given by their seeds. `family`: how many are corrected together."""
    pairs = [pair({collection: a}, {collection: b}) for a, b in sides]
    return [_statistics(one) for one in compare_all(pairs, margin=margin, level=LEVEL / max(1, family))]


def _statistics(found: Comparison) -> dict[str, Any]:
    return {
        "difference": found.difference,
        "ci": [found.ci_low, found.ci_high],
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
        "seeds": means,
        "mean": float(np.mean(means)),
        "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        "first_stage": sum(first_stage.values()) / len(first_stage),
    }


def _corrected(family: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With `corrected_p`, the randomisation test's, `corrected_seeds_p` where there are several seeds, and
    `corrected_equivalence_p` where there is a margin.

    `significant` rests on `corrected_seeds_p` where there is one: over queries alone, simulated systems that differ in
    nothing but their seeds differ significantly in 12 to 17 % of cases at a level of 5 % (benchmarks/error_rates.py).
    """
    corrected = holm([row["randomisation_p"] for row in family])
    others = {
        kind: iter(holm([row[kind] for row in family if row[kind] is not None]))
        for kind in ("seeds_p", "equivalence_p")
    }
    rows = []
    for row, p in zip(family, corrected, strict=True):
        found = {f"corrected_{kind}": None if row[kind] is None else next(left) for kind, left in others.items()}
        seeds_p = found["corrected_seeds_p"]
        rows.append({**row, "corrected_p": p, **found, "significant": (p if seeds_p is None else seeds_p) < LEVEL})
    return rows
