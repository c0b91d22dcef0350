"""Many comparisons at once: p-values of a family corrected for their number, and mean ranks of many systems."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # whose `optimize` opens when it is first asked for: a training needs none
from numpy.typing import ArrayLike
from scipy import special

from limbeck.core.errors import DataError
from limbeck.core.options import Correction
from limbeck.evaluation.statistics.trainings import finite

LEVEL = 0.05
"""α: below it a corrected p-value carries a claim. Everything that judges one reads it here."""


def holm(p_values: Sequence[float], most_true: int | None = None) -> list[float]:
    """Holm's step-down correction, in the order given: bounds the chance of any false claim in the family.

    Args:
        most_true: how many of the hypotheses can be true together, where it is known that not all can.

    Source: Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure; Shaffer 1986, Modified Sequentially
    Rejective Multiple Test Procedures (`most_true`).

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    _check(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for position, i in enumerate(order):
        left = min(len(p_values) - position, len(p_values) if most_true is None else most_true)
        highest = max(highest, min(1.0, left * p_values[i]))
        corrected[i] = highest
    return corrected


def tukey_holm(p_values: Sequence[float], degrees: Sequence[float], means: int, families: int = 1) -> list[float]:
    """Holm's correction where each p-value is of a difference between two of `means` means, in the order given.

    The differences hang together, which Holm's bound for a step does not use and Tukey's does: of p-values still to be
    judged, k in number, the smallest counts as the smaller of k p and Tukey's, which holds for all pairs at once. Which
    one is smaller depends on k and the degrees of freedom alone, so a step keeps its level as either test does, and the
    whole is a closed test, never weaker than Holm's.

    Args:
        degrees: of freedom, of each difference's error.
        families: how many sets of all pairs there are, each among `means` means, as of several collections.

    Source: Tukey 1953 and Kramer 1956 (the studentised range; other degrees of freedom for each pair: Games and Howell
    1976); Marcus, Peritz and Gabriel 1976, On Closed Testing Procedures.
    """
    _check(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for position, i in enumerate(order):
        bound = (len(p_values) - position) * p_values[i]
        if p_values[i] < bound and means > 2:
            bound = min(bound, families * _tukey(p_values[i], degrees[i], means))
        highest = max(highest, min(1.0, bound))
        corrected[i] = highest
    return corrected


@lru_cache(maxsize=4096)
def all_pairs_level(df: float, means: int, level: float = LEVEL) -> float:
    """At what level to judge a difference so that all pairs of `means` means keep `level`: `tukey_holm`'s first step.

    The larger of Bonferroni's and Tukey's: the interval at it leaves out 0 where the smallest p, corrected, is below.

    >>> all_pairs_level(20, 2), round(all_pairs_level(20, 4), 4)
    (0.05, 0.0111)
    """
    if means <= 2:
        return level
    bonferroni = 2 * level / means / (means - 1)
    if _tukey(bonferroni, df, means) >= level:
        return bonferroni
    return float(scipy.optimize.brentq(lambda p: _tukey(p, df, means) - level, bonferroni, level, xtol=1e-9))


@lru_cache(maxsize=65536)
def _tukey(p: float, df: float, means: int) -> float:
    """Tukey's p-value of a difference whose own two-sided one is `p`.

    The studentised range by trapezoids, over the normal deviate of the highest mean and the logarithm of the standard
    deviation's quotient; scipy's agrees and takes a hundred times as long.
    """
    if df <= 0 or p >= 1:
        return 1.0
    if p < 1e-100:  # further out the integral has no digit left
        return p
    distance = -float(special.stdtrit(df, p / 2)) * math.sqrt(2)
    normal = np.linspace(-8, 8, 81)
    # Far out to the left the density falls as exp(df u); about 0 its width is 1 / √(2 df).
    quotient = np.linspace(-9 / math.sqrt(2 * df) - 25 / df, min(9 / math.sqrt(2 * df), 3.5), 161)
    density = np.exp(
        math.log(2) + df / 2 * math.log(df / 2) - special.gammaln(df / 2) + df * quotient
        - df / 2 * np.exp(2 * quotient)
    )  # fmt: skip
    reach = distance * np.exp(quotient)[:, None]
    inside = (special.ndtr(normal) - special.ndtr(normal - reach)) ** (means - 1)
    within = means * (np.exp(-(normal**2) / 2) / math.sqrt(2 * math.pi) * inside).sum(1) * (normal[1] - normal[0])
    found = (density * (1 - within)).sum() * (quotient[1] - quotient[0])
    return min(1.0, max(float(found), p))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini's and Hochberg's step-up correction, in the order given: bounds the expected share of false claims.

    It holds for independent p-values and under positive dependence (Benjamini and Yekutieli 2001).

    Source: Benjamini and Hochberg 1995, Controlling the False Discovery Rate, Eq. 1.

    >>> [round(p, 3) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    from scipy import stats

    _check(p_values)
    return [float(p) for p in stats.false_discovery_control(list(p_values))] if p_values else []


CORRECTIONS: dict[Correction, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": list,
}
"""By the name that a user gives."""


def _check(p_values: Sequence[float]) -> None:
    if not all(0 <= p <= 1 for p in p_values):
        raise DataError(f"{list(p_values)} are not all p-values; expected numbers from 0 to 1")


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
