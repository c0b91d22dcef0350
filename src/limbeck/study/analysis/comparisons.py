"""Paired comparisons of a study's recipes: with the first stage, and with one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from limbeck.evaluation import LEVEL, Difference, Fact, NearBest, Training, Trainings, compare_all, near_best
from limbeck.evaluation.statistics.comparison import Interval, Systems
from limbeck.evaluation.statistics.families import all_pairs, by_holm, correct_family
from limbeck.study.plan.audit import Configuration

Values = Mapping[str, float]
"""Query id → value."""

FIRST_STAGE = "first stage"

MOST_NEAR_BEST = 150
"""Recipes on backbones that are tested against each other for the best: the work grows with the fourth power."""


@dataclass(frozen=True)
class Trained:
    """One recipe of one backbone.

    Attributes:
        values: test collection → measure → seed → query id → value.
        prefixes: seed → what stands for the beginning of its training, where other trainings went on from that too.
    """

    backbone: str
    recipe: str
    values: Mapping[str, Mapping[str, Mapping[int, Values]]]
    prefixes: Mapping[int, str] = field(default_factory=dict)

    @property
    def name(self) -> Configuration:
        return Configuration(self.backbone, self.recipe)

    def trainings(self, collections: Sequence[str], measure: str) -> list[Training]:
        """Every seed that is finished on all of the collections."""
        found = [self.values.get(name, {}).get(measure, {}) for name in collections]
        seeds = sorted(set.intersection(*map(set, found))) if found else []
        return [
            Training(
                recipe=self.recipe,
                backbone=self.backbone,
                prefix=self.prefixes.get(seed),
                values={name: of[seed] for name, of in zip(collections, found, strict=True)},
            )
            for seed in seeds
        ]


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


@dataclass(frozen=True, kw_only=True)
class NearBestRecipe(NearBest):
    """A recipe on a backbone, averaged over all test collections, and whether it is within the margin of the best."""

    backbone: str
    recipe: str


def compare_with_first_stage(
    trained: Sequence[Trained],
    first_stage: Mapping[str, Mapping[str, Values]],
    measures: Sequence[str],
    suites: Mapping[str, Sequence[str]] = {},
) -> tuple[tuple[FirstStageDifference, ...], tuple[FirstStageDifference, ...]]:
    """Every recipe against the first stage, on every test collection and on every suite.

    A recipe's seeds on a suite are those that it has on every member; a mean is the mean of the members' means. The
    p-values are Holm-corrected over all rows of one measure, collections and suites together, as its table marks them.

    Args:
        first_stage: collection → measure → query id → value.
        suites: name → members.
    """
    rows: list[FirstStageDifference] = []
    scopes = {**{name: [name] for name in first_stage}, **{name: list(members) for name, members in suites.items()}}
    for measure in measures:
        data = {scope: _align(trained, members, measure, first_stage) for scope, members in scopes.items()}
        family: list[Fact] = []
        systems = {scope: [one for one in trained if of.seeds(one.recipe, one.backbone)] for scope, of in data.items()}
        level = LEVEL / max(1, sum(map(len, systems.values())))
        for scope, of in data.items():
            couples: list[tuple[Systems, Systems]] = [
                ([(one.recipe, one.backbone)], [(FIRST_STAGE, "")]) for one in systems[scope]
            ]
            compared = compare_all(of, couples, level=level)
            family += [
                ({**vars(one.name), "collection": scope, "measure": measure, **_means(of, one)}, result)
                for one, result in zip(systems[scope], compared, strict=True)
            ]
        rows += correct_family(FirstStageDifference, family, by_holm)
    return tuple(row for row in rows if row.collection in first_stage), tuple(
        row for row in rows if row.collection not in first_stage
    )


def compare_recipes(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    differs: Mapping[tuple[str, str, str], Sequence[str]],
    margin: float | None = None,
) -> tuple[RecipeDifference, ...]:
    """Every two recipes of a backbone on every collection, corrected over all of these (`tukey_holm`).

    Args:
        differs: (backbone, recipe a, recipe b) → the factors beside the objective in which they differ.
        margin: of equivalence, in the measure's unit.
    """
    data = {name: _align(trained, [name], measure) for name in collections}
    couples = {
        name: [
            (a, b)
            for a, b in combinations(trained, 2)
            if a.backbone == b.backbone and all(of.seeds(one.recipe, one.backbone) for one in (a, b))
        ]
        for name, of in data.items()
    }
    size = sum(map(len, couples.values()))
    family: list[Fact] = []
    for name, some in couples.items():
        pairs: list[tuple[Systems, Systems]] = [([(a.recipe, a.backbone)], [(b.recipe, b.backbone)]) for a, b in some]
        compared = compare_all(data[name], pairs, margin=margin, level=LEVEL / max(1, size))
        family += [
            (
                {
                    "collection": name,
                    "measure": measure,
                    "a": a.name,
                    "b": b.name,
                    "differs": tuple(differs.get((a.backbone, a.recipe, b.recipe), ())),
                },
                result,
            )
            for (a, b), result in zip(some, compared, strict=True)
        ]
    sets = len({(name, a.backbone) for name, some in couples.items() for a, _ in some})
    means = len({one.recipe for some in couples.values() for pair in some for one in pair})
    return tuple(correct_family(RecipeDifference, family, all_pairs(means, sets)))


def compare_over_backbones(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    differs: Mapping[tuple[str, str, str], Sequence[str]],
    margin: float | None = None,
) -> tuple[MeanDifference, ...]:
    """Every two recipes, averaged over the backbones and collections that both have, corrected over all pairs.

    Each backbone adds the variance of its own seeds, whatever these are called. Backbones are those at hand; on those
    `ahead` a's mean is higher, on those `behind` b's. A backbone lacks a recipe that has no seed on some collection.
    """
    data = _align(trained, collections, measure)
    recipes = list(dict.fromkeys(one.recipe for one in trained))
    found = []
    for a, b in combinations(recipes, 2):
        backbones = [
            one.backbone
            for one in trained
            if one.recipe == a and data.seeds(a, one.backbone) and data.seeds(b, one.backbone)
        ]
        if backbones:
            found.append((a, b, backbones))
    couples: list[tuple[Systems, Systems]] = [
        ([(a, name) for name in backbones], [(b, name) for name in backbones]) for a, b, backbones in found
    ]
    compared = compare_all(data, couples, margin=margin, level=LEVEL / max(1, len(couples)))
    family: list[Fact] = []
    for (a, b, backbones), result in zip(found, compared, strict=True):
        lead = {name: _mean(data, a, name) - _mean(data, b, name) for name in backbones}
        family.append(
            (
                {
                    "a": a,
                    "b": b,
                    "measure": measure,
                    "backbones": tuple(backbones),
                    "ahead": tuple(name for name in backbones if lead[name] > 0),
                    "behind": tuple(name for name in backbones if lead[name] < 0),
                    "collections_ci": result.collections_interval,
                    "differs": tuple(dict.fromkeys(f for name in backbones for f in differs.get((name, a, b), ()))),
                },
                result,
            )
        )
    means = len({recipe for a, b, _ in found for recipe in (a, b)})
    return tuple(correct_family(MeanDifference, family, all_pairs(means, 1)))


def compare_with_best(
    trained: Sequence[Trained], collections: Sequence[str], measure: str, margin: float | None
) -> tuple[NearBestRecipe, ...]:
    """Every recipe on every backbone, and whether it is within the margin of the best of them (`near_best`).

    Those that have a seed that is finished on all collections; none without a margin, of a single one, or of more than
    `MOST_NEAR_BEST`. Seeds of different backbones count as drawn apart.
    """
    if margin is None:
        return ()
    data = _align(trained, collections, measure)
    some = [one for one in trained if data.seeds(one.recipe, one.backbone)]
    if not 2 <= len(some) <= MOST_NEAR_BEST:
        return ()
    found = near_best(data, [(one.recipe, one.backbone) for one in some], margin)
    return tuple(NearBestRecipe(**vars(one.name), **vars(of)) for one, of in zip(some, found, strict=True))


def _align(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    first_stage: Mapping[str, Mapping[str, Values]] | None = None,
) -> Trainings:
    rankers = [one for each in trained for one in each.trainings(collections, measure)]
    if first_stage is not None:
        values = {name: first_stage[name][measure] for name in collections}
        rankers.append(Training(recipe=FIRST_STAGE, trained=False, values=values))
    if not rankers:
        return Trainings(
            (), tuple(collections), tuple(() for _ in collections), tuple(np.zeros((0, 0)) for _ in collections)
        )
    return Trainings.align(rankers, collections)


def _mean(data: Trainings, recipe: str, backbone: str) -> float:
    """Mean over collections of the mean over seeds and queries."""
    return float(data.moments.means[:, data.seeds(recipe, backbone)].mean())


def _means(data: Trainings, one: Trained) -> dict[str, Any]:
    by_seed = {id(ranker): value for ranker, value in zip(data.rankers, data.moments.means.mean(0), strict=True)}
    places = data.seeds(one.recipe, one.backbone)
    means = [by_seed[id(data.rankers[place])] for place in places]
    [first] = data.seeds(FIRST_STAGE)
    return {
        "seeds": tuple(map(float, means)),
        "mean": float(np.mean(means)),
        "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        "first_stage": float(data.moments.means[:, first].mean()),
    }
