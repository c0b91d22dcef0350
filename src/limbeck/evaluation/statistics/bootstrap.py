"""Bootstrap intervals of mean differences, hierarchical over collections, queries and seeds."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from limbeck.core.errors import DataError, UsageError
from limbeck.evaluation.statistics.pairing import Floats, Paired, finite

ELEMENTS = 4_000_000
"""Of the matrix of draws that is held at a time."""


def bootstrap_interval(
    differences: ArrayLike, samples: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the mean difference on one collection.

    `differences` is [queries], or [seeds, queries] to draw both seeds and queries anew in every sample.
    """
    values = np.atleast_2d(finite(differences, (1, 2)))
    low, high = bootstrap_intervals([Paired((values,), (np.zeros((1, values.shape[1])),))], samples, level, seed)[0]
    return float(low), float(high)


def bootstrap_intervals(
    pairs: Sequence[Paired],
    samples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    *,
    draw_collections: bool = False,
) -> Floats:
    """Percentile bootstrap intervals [comparisons, 2] of the mean differences of comparisons on the same queries.

    In every sample each system's seeds are drawn anew, and so are the queries of each collection, each query with all
    its seeds. With `draw_collections`, which asks what would hold on others like these, it is the collections that are
    drawn, each with its queries as they are: how far collections differ already holds how far their queries do, and
    drawing these too would count them twice.

    Of n units n − 1 are drawn with replacement, so that the variance is the unbiased one: n of them would make it too
    small by (n − 1) / n, a half for two seeds. The comparisons share their draws, in one matrix product.

    Where few seeds make most of the difference the interval is still too narrow, as their spread is itself hardly
    known: the t interval of `over_queries_and_seeds` allows for that. For few collections `percentiles` does.

    Raises UsageError for impossible sampling and DataError for comparisons that are not on the same queries.

    Source: Efron 1979, Bootstrap Methods: Another Look at the Jackknife; units within units: Davison and Hinkley 1997,
    Bootstrap Methods and Their Application (hierarchical data); crossed ones: Owen 2007, The Pigeonhole Bootstrap;
    n − 1: McCarthy and Snowden 1985, The Bootstrap and Finite Population Sampling.
    """
    if samples < 1 or not 0 < level < 1:
        raise UsageError(f"a bootstrap of {samples} samples at level {level}; expected 1 or more, and between 0 and 1")
    if len({one.sizes for one in pairs}) > 1:
        raise DataError("comparisons in one bootstrap are on other numbers of queries; expected the same queries")
    if not pairs:
        return np.empty((0, 2))
    means = np.concatenate(list(_means(pairs, samples, seed, draw_collections)))
    return percentiles(means, level, units=len(pairs[0].sizes) if draw_collections else None).T


def percentiles(sampled: Floats, level: float = 0.95, units: int | None = None) -> Floats:
    """The bounds [2, …] that hold the share `level` of samples [rows, …].

    With `units`, how many units were drawn, they lie further out by as much as Student's t does beyond the normal
    distribution: how far few units differ is itself hardly known.

    Source: Hesterberg 2015, What Teachers Should Know About the Bootstrap (the expanded percentile interval).
    """
    tail = (1 - level) / 2
    if units is not None:
        tail = special.ndtr(special.stdtrit(units - 1, tail))
    return np.asarray(np.quantile(sampled, [tail, 1 - tail], axis=0))


def draw(random: np.random.Generator, units: int, rows: int) -> Floats:
    """Weights [rows, units] of n − 1 of n units drawn with replacement (one alone: itself); each row sums to 1."""
    drawn = max(1, units - 1)
    return np.asarray(random.multinomial(drawn, np.full(units, 1 / units), rows) / drawn)


def _means(pairs: Sequence[Paired], samples: int, seed: int, draw_collections: bool) -> Iterator[Floats]:
    """Mean differences [rows, comparisons] of the samples, some rows at a time."""
    random = np.random.default_rng(seed)
    tables = [_rows(pairs, collection) for collection in range(len(pairs[0].sizes))]
    height = max(1, ELEMENTS // max(*pairs[0].sizes, len(tables[0])))
    for start in range(0, samples, height):
        rows = min(height, samples - start)
        if draw_collections:
            drawn = draw(random, len(tables), rows) @ np.stack([table.mean(1) for table in tables])
        else:
            drawn = sum(_draw_queries(random, table.shape[1], rows) @ table.T for table in tables) / len(tables)
        yield _over_seeds(random, drawn, pairs)


def _rows(pairs: Sequence[Paired], collection: int) -> Floats:
    """Every seed of every comparison on a collection [rows, queries]: those of a less the mean of b; then, where b has
    several, those of b less their mean."""
    found = []
    for one in pairs:
        b = one.b[collection]
        found.append(one.a[collection] - b.mean(0))
        if len(b) > 1:
            found.append(b - b.mean(0))
    return np.concatenate(found)


def _draw_queries(random: np.random.Generator, queries: int, rows: int) -> Floats:
    """Weights [rows, queries] of queries drawn as in `draw`, which is slow for many units; each row sums to 1."""
    drawn = max(1, queries - 1)
    places = random.integers(0, queries, (rows, drawn)) + np.arange(rows)[:, None] * queries
    return np.bincount(places.ravel(), minlength=rows * queries).reshape(rows, queries) / drawn


def _over_seeds(random: np.random.Generator, drawn: Floats, pairs: Sequence[Paired]) -> Floats:
    """Mean differences [rows, comparisons] from the drawn means [rows, seeds of all comparisons]."""
    sides = ({one.seeds[0] for one in pairs}, {one.seeds[1] for one in pairs})
    weights = [{seeds: draw(random, seeds, len(drawn)) for seeds in sorted(side)} for side in sides]
    found = np.empty((len(drawn), len(pairs)))
    start = 0
    for column, one in enumerate(pairs):
        of_a, of_b = one.seeds
        found[:, column] = (weights[0][of_a] * drawn[:, start : start + of_a]).sum(1)
        start += of_a
        if of_b > 1:
            found[:, column] -= (weights[1][of_b] * drawn[:, start : start + of_b]).sum(1)
            start += of_b
    return found
