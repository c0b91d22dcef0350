"""Mean ranks of systems over collections, and how far apart two must lie to differ."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limbeck.core.errors import DataError
from limbeck.evaluation.statistics.multiple import LEVEL
from limbeck.evaluation.statistics.trainings import finite


@dataclass(frozen=True)
class Ranks:
    """Systems in the order in which they were given.

    Attributes:
        means: mean rank of each, 1 the best; equal values share their mean rank.
        friedman_p: p-value of the claim that all rank alike.
        critical_difference: of two mean ranks, by Nemenyi's test; it corrects for all pairs of systems.
        groups: runs of systems, best first, of which no two differ significantly; a run within another is left out.
    """

    means: tuple[float, ...]
    friedman_p: float
    critical_difference: float
    groups: tuple[tuple[int, ...], ...]


def mean_ranks(values: ArrayLike, level: float = LEVEL) -> Ranks:
    """Rank systems on each collection; `values` [collections, systems], higher is better.

    DataError for fewer than two collections or three systems, or values that are not finite.

    Source: Demšar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets (JMLR 7), section 3.2.2.
    """
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    table = finite(values, (2,))
    collections, systems = table.shape
    if collections < 2 or systems < 3:
        raise DataError(f"{collections} collections and {systems} systems; mean ranks need two and three at least")
    means = rankdata(-table, axis=1).mean(0)
    quantile = float(studentized_range.ppf(1 - level, systems, math.inf)) / math.sqrt(2)
    difference = quantile * math.sqrt(systems * (systems + 1) / (6 * collections))
    alike = bool((table == table[:, :1]).all())
    p = 1.0 if alike else float(friedmanchisquare(*table.T).pvalue)
    return Ranks(tuple(map(float, means)), p, difference, _groups(means, difference))


def _groups(means: np.ndarray[tuple[int], np.dtype[np.float64]], difference: float) -> tuple[tuple[int, ...], ...]:
    order = [int(place) for place in np.argsort(means, kind="stable")]
    groups: list[tuple[int, ...]] = []
    end = 0
    for start, first in enumerate(order):
        reach = sum(means[other] - means[first] <= difference for other in order)
        if reach > end and reach - start > 1:
            groups.append(tuple(order[start:reach]))
        end = max(end, reach)
    return tuple(groups)
