"""A study's figures, the terms of their analysis of variance, and the variance that each is responsible for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluation.statistics.comparison import ENOUGH_COLLECTIONS
from limbeck.evaluation.statistics.trainings import Floats, Training, Trainings

Levels = NDArray[np.int64]
"""[configurations, factors]: which level of each factor a configuration has."""


@dataclass(frozen=True, eq=False)
class Term:
    """A main effect, an interaction, or what remains.

    Attributes:
        basis: [configurations, df], orthonormal: what the term explains that the other terms do not.
        expected: degrees of freedom it would have in a complete crossing; fewer are left where factors go together.
        shared: the basis is of all differences between configurations, and the term what of these is in no other one:
            what factors that go together explain, without saying which of them.
    """

    name: str
    basis: Floats = field(repr=False)
    df: int
    expected: int
    shared: bool = False


def terms(levels: Levels, factors: Sequence[str]) -> list[Term]:
    """All main effects and two-way interactions, in this order, then what no such term explains.

    Sums of squares are of type II: a term is what it adds to all others that do not contain it. They add up to the
    whole where the design is balanced; elsewhere a term for what factors share comes last.

    Source: Langsrud 2003, ANOVA for Unbalanced Data: Use Type II Instead of Type III Sums of Squares.
    """
    places = [(one,) for one in range(len(factors))] + list(combinations(range(len(factors)), 2))
    columns = {place: _indicators(levels[:, place]) for place in places}
    constant = np.ones((len(levels), 1))
    found = []
    for place in places:
        basis = _added(np.hstack([constant, *(columns[p] for p in places if not set(place) <= set(p))]), columns[place])
        expected = math.prod(columns[(one,)].shape[1] - 1 for one in place)
        found.append(Term(" × ".join(factors[one] for one in place), basis, basis.shape[1], expected))
    rest = _added(np.hstack([constant, *columns.values()]), np.eye(len(levels)))
    if rest.size:
        found.append(Term("higher interactions", rest, rest.shape[1], rest.shape[1]))
    joined = np.hstack([term.basis for term in found])
    left = len(levels) - 1 - joined.shape[1]
    if left or not np.allclose(joined.T @ joined, np.eye(joined.shape[1])):
        left = max(0, left)
        found.append(Term("shared by factors", _added(constant, np.eye(len(levels))), left, left, shared=True))
    return found


def level_effects(levels: Levels, factor: int) -> Floats:
    """[levels, configurations]: times values per configuration, each level's effect, beside those of other factors.

    The effects of a factor sum to 0: they are differences to the mean over its levels, each level counting once.
    """
    columns = [_indicators(levels[:, [one]]) for one in range(levels.shape[1])]
    start = 1 + sum(one.shape[1] for one in columns[:factor])
    solved = np.linalg.pinv(np.hstack([np.ones((len(levels), 1)), *columns]))
    own = solved[start : start + columns[factor].shape[1]]
    return np.asarray(own - own.mean(0))


def _indicators(levels: Levels) -> Floats:
    """[configurations, combinations of levels that occur]."""
    _, codes = np.unique(levels, axis=0, return_inverse=True)
    return np.eye(codes.max() + 1)[codes.ravel()]


def _added(known: Floats, more: Floats) -> Floats:
    """Orthonormal basis of what the columns of `more` span beyond those of `known`."""
    basis = _span(known)
    return _span(more - basis @ (basis.T @ more))


def _span(columns: Floats) -> Floats:
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, size > 1e-8])


BACKBONE, COLLECTION, SEED = "backbone", "collection", "seed"


@dataclass(frozen=True, eq=False)
class Figures:
    """Means of one measure: of every configuration (a level of each factor), seed and collection.

    Attributes:
        factors: their names.
        levels: per factor, the names of its levels.
        configurations: [configurations, factors], as indices into `levels`; no two are equal.
        collections: their names.
        values: per configuration [seeds, collections]; configurations may have other numbers of seeds.
        by_query: the same trainings with their values per query, each with the number of its configuration as its
            recipe, where these are known.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    configurations: Levels
    collections: tuple[str, ...]
    values: tuple[Floats, ...] = field(repr=False)
    by_query: Trainings | None = field(default=None, repr=False)

    @property
    def units(self) -> Literal["queries", "collections", ""]:
        """What can be drawn beside seeds: queries where they are known, else collections where they are enough."""
        if self.by_query:
            return "queries"
        return "collections" if len(self.collections) >= ENOUGH_COLLECTIONS else ""

    @cached_property
    def trainings(self) -> Trainings | None:
        """The trainings with their values per unit; None where there are no `units`.

        Where collections are the units, seed variance is pooled over the configurations of a backbone, if the factor
        `backbone` tells these apart, else over all.
        """
        if self.by_query or not self.units:
            return self.by_query
        place = self.factors.index(BACKBONE) if BACKBONE in self.factors else None
        return Trainings.align(
            Training(
                recipe=str(number),
                backbone="" if place is None else self.levels[place][self.configurations[number, place]],
                values={"": dict(zip(self.collections, map(float, row), strict=True))},
            )
            for number, values in enumerate(self.values)
            for row in values
        )

    @property
    def seeds(self) -> list[int]:
        """Of each configuration."""
        return [len(values) for values in self.values]


def names(terms: Sequence[Term]) -> list[str]:
    """The components: collections, the terms, the terms' interactions with collections, seeds, these by collection."""
    own = [term.name for term in terms]
    return [COLLECTION, *own, *(f"{name} × {COLLECTION}" for name in own), SEED, f"{SEED} × {COLLECTION}"]


def variances(figures: Figures, terms: Sequence[Term], of_collections: Floats, of_seeds: Sequence[Floats]) -> Floats:
    """[rows, components] in the order of `names`, as they are in samples of collections and seeds.

    Args:
        of_collections: [rows, collections], the weight of each collection in each sample; a row sums to 1.
        of_seeds: per configuration [rows, seeds], likewise.
    """
    means = np.stack([weights @ values for weights, values in zip(of_seeds, figures.values, strict=True)], axis=1)
    count = len(figures.values)
    overall = means.mean(1)
    collections = (of_collections * overall**2).sum(1) - (of_collections * overall).sum(1) ** 2
    main: list[Floats] = []
    crossed: list[Floats] = []
    for term in terms:
        effects = np.einsum("kd,rkc->rdc", term.basis, means)
        squares = (np.einsum("rdc,rc->rd", effects, of_collections) ** 2).sum(1) / count
        within = np.einsum("rdc,rc->r", effects**2, of_collections) / count - squares
        main.append(squares - sum(main) if term.shared else squares)
        crossed.append(within - sum(crossed) if term.shared else within)
    seeds = _seed_variances(figures, of_collections, of_seeds)
    return np.stack([collections, *main, *crossed, *seeds.mean(2)], 1)


def estimates(figures: Figures, terms: Sequence[Term]) -> Floats:
    """[components]: unbiased variances of seeds, and the others less what these add to them on average.

    One below 0 says that there is none, or, of what factors share, that they work against one another.
    """
    count = len(figures.collections)
    evenly = np.full((1, count), 1 / count), [np.full((1, seeds), 1 / seeds) for seeds in figures.seeds]
    found = variances(figures, terms, *evenly)[0]
    seeds = np.array(figures.seeds)
    several = seeds > 1
    of_seeds, crossed = 0.0, 0.0
    if several.any():
        unbiased = _seed_variances(figures, *evenly)[:, 0, several] * seeds[several] / (seeds[several] - 1)
        of_seeds, crossed = unbiased.mean(1)
    noise = np.array([((term.basis**2).sum(1) / seeds).sum() for term in terms]) / len(seeds)
    if terms[-1].shared:
        noise[-1] -= noise[:-1].sum()
    taken = np.concatenate([[crossed * (1 / seeds).mean() / len(seeds)], noise * of_seeds, noise * crossed])
    return np.concatenate([found[:-2] - taken, [of_seeds, crossed]])


def _seed_variances(figures: Figures, of_collections: Floats, of_seeds: Sequence[Floats]) -> Floats:
    """[2, rows, configurations]: of seeds' means over collections, and of the rest within a configuration."""
    found = []
    for weights, values in zip(of_seeds, figures.values, strict=True):
        means = of_collections @ values.T
        between = (weights * means**2).sum(1) - (weights * means).sum(1) ** 2
        squares = (weights * (of_collections @ (values**2).T)).sum(1)
        total = squares - (of_collections * (weights @ values) ** 2).sum(1)
        found.append((between, total - between))
    return np.asarray(found).transpose(1, 2, 0)
