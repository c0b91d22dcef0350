"""Values of trainings on the same queries, and the moments of them that the paired statistics start from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limbeck.core.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Values = Mapping[str, float]
"""Query id → value."""

ROUNDING = 1e-12
"""Means over seeds that differ by less are equal: sums in another order differ by rounding."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One ranker: what one training gave, or one that no seed changes.

    Attributes:
        recipe: how it was trained; trainings of one recipe and backbone are its seeds.
        backbone: recipes of one backbone share their seed variance.
        prefix: what stands for a beginning (of the same seed) that other trainings went on from too, if any did.
        trained: false for a ranker that no seed changes: BM25, a run that was given.
        values: collection → query id → value.
    """

    recipe: str
    backbone: str = ""
    prefix: str | None = None
    trained: bool = True
    values: Mapping[str, Values]


@dataclass(frozen=True, eq=False)
class Layout:
    """Which recipe, backbone and prefix each training has: [trainings], as numbers from 0; −1 where untrained."""

    backbones: Integers
    recipes: Integers
    prefixes: Integers

    @classmethod
    def of(cls, trainings: Sequence[Training]) -> "Layout":
        alone = ((object(), one.backbone) if one.prefix is None else (one.prefix, one.backbone) for one in trainings)
        return cls(
            _codes(one.backbone if one.trained else None for one in trainings),
            _codes((one.backbone, one.recipe) if one.trained else None for one in trainings),
            _codes(key if one.trained else None for key, one in zip(alone, trainings, strict=True)),
        )


@dataclass(frozen=True, eq=False)
class Moments:
    """Of trainings over queries; leading axes, if any, are repetitions of the whole.

    Attributes:
        sizes: queries per collection.
        means: [..., collections, trainings].
        covariances: [..., collections, trainings, trainings], over queries; 0 for a single query.
    """

    sizes: tuple[int, ...]
    means: Floats
    covariances: Floats

    @classmethod
    def of(cls, values: Sequence[Floats]) -> "Moments":
        """The moments of values, per collection [..., trainings, queries]."""
        centred = [one - one.mean(-1, keepdims=True) for one in values]
        return cls(
            tuple(one.shape[-1] for one in values),
            np.stack([one.mean(-1) for one in values], axis=-2),
            np.stack([one @ np.swapaxes(one, -1, -2) / max(1, one.shape[-1] - 1) for one in centred], axis=-3),
        )


@dataclass(frozen=True, eq=False)
class Trainings:
    """Trainings on the same queries of one collection or of several.

    Over several collections a mean is the mean of the collections' means (macro average), as for a suite; over several
    backbones it is the mean of theirs.

    Attributes:
        rankers: in an order that does not depend on the one they were given in.
        queries: per collection, in the order of their ids.
        values: per collection [trainings, queries].
    """

    rankers: tuple[Training, ...]
    collections: tuple[str, ...]
    queries: tuple[tuple[str, ...], ...]
    values: tuple[Floats, ...]

    @classmethod
    def align(cls, rankers: Iterable[Training], collections: Sequence[str] | None = None) -> "Trainings":
        """Pair rankers by query id, in whatever order the ids come.

        Args:
            collections: those to take; by default the first ranker's.

        Raises:
            DataError: rankers do not hold the same collections and queries, at least one, or a value is not finite.
        """
        some = list(rankers)
        if not some:
            raise DataError("paired statistics need rankers; there are none")
        names = tuple(collections if collections is not None else some[0].values)
        for one in some:
            wrong = set(names) ^ set(one.values) if collections is None else set(names) - set(one.values)
            if wrong or not names:
                raise DataError(
                    "paired statistics need the same collections on both sides, at least one; the first has "
                    f"{sorted(names)}, {_name(one)} has {sorted(one.values)}"
                )
        queries = [sorted(_queries([one.values[name] for one in some], name)) for name in names]
        tables = [
            finite([[one.values[name][query] for query in ids] for one in some], (2,))
            for name, ids in zip(names, queries, strict=True)
        ]
        # By name, then by value: whichever seed is called 1, the sums run in the same order.
        keys = [
            (one.backbone, one.recipe, one.prefix or "", tuple(float(table[row].sum()) for table in tables))
            for row, one in enumerate(some)
        ]
        order = sorted(range(len(some)), key=lambda row: keys[row])
        return cls(
            tuple(some[row] for row in order),
            names,
            tuple(map(tuple, queries)),
            tuple(table[order] for table in tables),
        )

    @cached_property
    def moments(self) -> Moments:
        return Moments.of(self.values)

    @cached_property
    def layout(self) -> Layout:
        return Layout.of(self.rankers)

    def seeds(self, recipe: str, backbone: str = "") -> list[int]:
        """Places of the trainings of a recipe on a backbone."""
        return [place for place, one in enumerate(self.rankers) if (one.recipe, one.backbone) == (recipe, backbone)]

    def mean(self, systems: Sequence[tuple[str, str]]) -> Floats:
        """Weights [trainings] that give the mean over systems (recipe, backbone), each the mean over its seeds.

        DataError for a system that has no training here.
        """
        weights = np.zeros(len(self.rankers))
        for recipe, backbone in systems:
            places = self.seeds(recipe, backbone)
            if not places:
                raise DataError(f"{recipe}{backbone and f' on {backbone}'} has no training to compare")
            weights[places] += 1 / len(places) / len(systems)
        return weights

    def differences(self, weights: Floats) -> tuple[Floats, ...]:
        """Per collection [comparisons, queries]: the weighted sums of a query's values."""
        found = [weights @ values for values in self.values]
        return tuple(np.where(np.abs(one) < ROUNDING, 0.0, one) for one in found)

    def over_collections(self) -> Moments:
        """Moments with the collections in the place of queries: these are drawn, each with its queries as they are."""
        return Moments.of([self.moments.means.T])


def finite(values: ArrayLike, dimensions: tuple[int, ...] = (1,)) -> Floats:
    """Values as an array of one of these numbers of dimensions. DataError where it is empty or not finite."""
    array: Floats = np.asarray(values, dtype=np.float64)
    if array.ndim not in dimensions or not array.size:
        raise DataError(f"values of shape {list(array.shape)}; expected one per query, at least one")
    if not np.isfinite(array).all():
        raise DataError("a value is NaN or infinite; expected a finite one for every query")
    return array


def _codes(keys: Iterable[Any]) -> Integers:
    """Numbers from 0 for distinct keys; −1 for None."""
    known: dict[Any, int] = {}
    return np.array([-1 if key is None else known.setdefault(key, len(known)) for key in keys])


def _name(one: Training) -> str:
    return " · ".join(filter(None, (one.backbone, one.recipe))) or "another one"


def _queries(values: Sequence[Values], collection: str) -> set[str]:
    """The queries that all of `values` hold."""
    first = set(values[0])
    for other in map(set, values):
        if other != first:
            only_a, only_b = sorted(first - other), sorted(other - first)
            raise DataError(
                f"{collection and f'{collection}: '}paired statistics need the same queries on both sides: "
                f"{len(first & other)} are "
                f"shared, {len(only_a)} only in the first {only_a[:3]}, {len(only_b)} only in the second {only_b[:3]}; "
                "measure all runs on one collection"
            )
    return first
