"""Paired comparisons of a study's recipes: with the first stage, and with one another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from limbeck.evaluation import bootstrap_interval, compare, holm

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

    def mean(self, collection: str, measure: str) -> dict[str, float]:
        """Query id → mean over the finished seeds."""
        seeds = self.seeds(collection, measure)
        return {query_id: sum(seed[query_id] for seed in seeds) / len(seeds) for query_id in seeds[0]}


def compare_with_first_stage(
    trained: Sequence[Trained], first_stage: Mapping[str, Mapping[str, Values]], measures: Sequence[str]
) -> list[dict[str, Any]]:
    """Every recipe on every test collection against the first stage: collection → measure → query id → value.

    Values are averaged over seeds, so that queries are what is drawn; the interval is drawn over queries and seeds. The
    p-values of the randomisation test are Holm-corrected over all recipes and collections of one measure.
    """
    rows = []
    for measure in measures:
        family = []
        for one in trained:
            for collection, of_first in first_stage.items():
                seeds = one.seeds(collection, measure)
                if seeds:
                    family.append(_against(one, collection, measure, seeds, of_first[measure]))
        rows += _corrected(family)
    return rows


def compare_recipes(
    trained: Sequence[Trained],
    collections: Sequence[str],
    measure: str,
    differs: Mapping[tuple[str, str, str], Sequence[str]],
) -> list[dict[str, Any]]:
    """Every two recipes of a backbone, Holm-corrected over those of one collection.

    Args:
        differs: (backbone, recipe a, recipe b) → the factors beside the objective in which they differ.
    """
    rows = []
    for collection in collections:
        family = []
        for a, b in combinations(trained, 2):
            if a.backbone != b.backbone or not (a.seeds(collection, measure) and b.seeds(collection, measure)):
                continue
            found = compare(a.mean(collection, measure), b.mean(collection, measure))
            family.append(
                {
                    "collection": collection,
                    "measure": measure,
                    "a": a.name,
                    "b": b.name,
                    "difference": found.difference,
                    "t_p": found.t_p,
                    "randomisation_p": found.randomisation_p,
                    "differs": list(differs.get((a.backbone, a.recipe, b.recipe), ())),
                }
            )
        rows += _corrected(family)
    return rows


def _against(
    one: Trained, collection: str, measure: str, seeds: Sequence[Values], first_stage: Values
) -> dict[str, Any]:
    found = compare(one.mean(collection, measure), first_stage)
    queries = sorted(first_stage)
    differences = np.array([[seed[query_id] - first_stage[query_id] for query_id in queries] for seed in seeds])
    means = [sum(seed.values()) / len(seed) for seed in seeds]
    return {
        **one.name,
        "collection": collection,
        "measure": measure,
        "seeds": means,
        "mean": float(np.mean(means)),
        "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        "first_stage": sum(first_stage.values()) / len(first_stage),
        "difference": found.difference,
        "ci": list(bootstrap_interval(differences)),
        "t_p": found.t_p,
        "randomisation_p": found.randomisation_p,
        "queries": found.n,
        "wins": found.wins,
        "ties": found.ties,
        "losses": found.losses,
    }


def _corrected(family: list[dict[str, Any]]) -> list[dict[str, Any]]:
    corrected = holm([row["randomisation_p"] for row in family])
    return [{**row, "corrected_p": p, "significant": p < LEVEL} for row, p in zip(family, corrected, strict=True)]
