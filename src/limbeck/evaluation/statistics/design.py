"""The terms of an analysis of variance: main effects and two-way interactions of crossed or unbalanced factors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from limbeck.evaluation.statistics.trainings import Floats

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
