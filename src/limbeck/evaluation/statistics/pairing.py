"""Two systems on the same queries: the values that every paired statistic starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limbeck.core.errors import DataError

Floats = NDArray[np.float64]
Values = Mapping[str, float]
"""Query id → value."""

ROUNDING = 1e-12
"""Means over seeds that differ by less are equal: sums in another order differ by rounding."""


@dataclass(frozen=True, eq=False)
class Paired:
    """Two systems, a and b, on the same queries of one collection or of several.

    Over several collections, a mean is the mean of the collections' means (macro average), as for a suite.

    Attributes:
        a, b: per collection [seeds, queries]. A system has the same seeds on every collection; a and b may have other
            numbers of them, which are taken as independent: seed 1 of a is no partner of seed 1 of b.
    """

    a: tuple[Floats, ...]
    b: tuple[Floats, ...]

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Queries per collection."""
        return tuple(values.shape[1] for values in self.a)

    @property
    def seeds(self) -> tuple[int, int]:
        """Seeds of a and of b."""
        return len(self.a[0]), len(self.b[0])

    @cached_property
    def differences(self) -> tuple[Floats, ...]:
        """Per collection [queries]: a − b, each averaged over its seeds."""
        found = []
        for a, b in zip(self.a, self.b, strict=True):
            difference = a.mean(0) - b.mean(0)
            found.append(np.where(np.abs(difference) < ROUNDING, 0.0, difference))
        return tuple(found)

    @cached_property
    def difference(self) -> float:
        """Mean of a − b."""
        return float(np.mean([one.mean() for one in self.differences]))


def pair(a: Mapping[str, Sequence[Values]], b: Mapping[str, Sequence[Values]]) -> Paired:
    """Pair two systems by query id, in whatever order the ids come.

    Args:
        a, b: collection → one mapping from query id to value per seed.

    Raises:
        DataError: the two do not hold the same collections and queries, at least one, or a value is not finite; a
            system has not the same number of seeds everywhere.
    """
    if set(a) != set(b) or not a:
        raise DataError(
            f"paired statistics need the same collections on both sides, at least one; the first has {sorted(a)}, "
            f"the second {sorted(b)}"
        )
    sides: tuple[list[Floats], list[Floats]] = ([], [])
    for collection in a:
        queries = sorted(_queries([*a[collection], *b[collection]], collection))
        for side, values in zip(sides, (a[collection], b[collection]), strict=True):
            table = finite([[seed[query_id] for query_id in queries] for seed in values], (2,))
            if side and len(table) != len(side[0]):
                raise DataError(f"{len(table)} seeds on {collection}, {len(side[0])} elsewhere; expected as many")
            side.append(table)
    return Paired(tuple(sides[0]), tuple(sides[1]))


def finite(values: ArrayLike, dimensions: tuple[int, ...] = (1,)) -> Floats:
    """Values as an array of one of these numbers of dimensions. DataError where it is empty or not finite."""
    array: Floats = np.asarray(values, dtype=np.float64)
    if array.ndim not in dimensions or not array.size:
        raise DataError(f"values of shape {list(array.shape)}; expected one per query, at least one")
    if not np.isfinite(array).all():
        raise DataError("a value is NaN or infinite; expected a finite one for every query")
    return array


def _queries(values: Sequence[Values], collection: str) -> set[str]:
    """The queries that all of `values` hold."""
    first = set(values[0]) if values else set()
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
