"""Student's t of mean differences: test, interval, equivalence, power; and the question of *these models*."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy  # whose `optimize` opens when it is first asked for: a training needs none
from numpy.typing import ArrayLike
from scipy import special

from limbeck.core.errors import UsageError
from limbeck.evaluation.statistics.multiple import LEVEL
from limbeck.evaluation.statistics.trainings import Floats, Moments, finite


@dataclass(frozen=True)
class Estimate:
    """A mean difference and how well it is known.

    Attributes:
        difference: the estimate.
        error: its standard error.
        df: degrees of freedom of that error; 0 where one value says nothing about spread.
    """

    difference: float
    error: float
    df: float

    def t(self, mean: float = 0.0) -> float:
        """The t statistic against `mean`; ±inf without spread, 0 where nothing is known or only rounding differs."""
        if math.isclose(self.difference, mean) or self.df == 0:
            return 0.0
        distance = self.difference - mean
        return distance / self.error if self.error else math.copysign(math.inf, distance)

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference."""
        return min(1.0, 2 * above(abs(self.t()), self.df))

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Confidence interval of the difference; None where nothing is known about spread."""
        if self.df == 0:
            return None
        half = float(special.stdtrit(self.df, (1 + level) / 2)) * self.error
        return self.difference - half, self.difference + half


@dataclass(frozen=True, eq=False)
class Estimates:
    """Many estimates [..., comparisons]; see `Estimate`."""

    difference: Floats
    error: Floats
    df: Floats

    def __iter__(self) -> Iterator[Estimate]:
        for difference, error, df in zip(self.difference, self.error, self.df, strict=True):
            yield Estimate(float(difference), float(error), float(df))

    @property
    def t(self) -> Floats:
        known = (self.df > 0) & (self.difference != 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(known, self.difference / self.error, 0.0)

    @property
    def p(self) -> Floats:
        """Two-sided p-values of no difference; 1 where nothing is known."""
        return np.where(self.df > 0, 2 * special.stdtr(np.maximum(self.df, 1e-9), -np.abs(self.t)), 1.0)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a variance, with its degrees of freedom: [..., comparisons] each; 0 where there is none."""

    variance: Floats
    df: Floats


def over_queries(moments: Moments, weights: Floats) -> Estimates:
    """*These models*: queries are drawn; the trainings, over which values are averaged, and the collections are given.

    One collection: the paired t-test. Several: the collections are strata, the error that of a mean of means, its
    degrees of freedom Welch's and Satterthwaite's. Nothing is known (df 0) where a collection has a single query.

    Args:
        weights: [comparisons, trainings]; a comparison is the weighted sum of the trainings' values.

    Source: Sakai 2018, Laboratory Experiments in Information Retrieval (paired t-test); Urbano, Lima and Hanjalic 2019,
    Statistical Significance Testing in Information Retrieval (SIGIR): the t-test keeps its level best.
    """
    known = sum_of(query_parts(moments, weights))
    return Estimates(mean_differences(moments, weights), np.sqrt(known.variance), known.df)


def mean_differences(moments: Moments, weights: Floats) -> Floats:
    """[..., comparisons]: means over collections of weighted sums of means; 0 where these are rounding alone."""
    means = moments.means.mean(-2)
    found = means @ weights.T
    return np.where(np.abs(found) < 1e-12 * np.maximum(1.0, np.abs(means) @ np.abs(weights).T), 0.0, found)


def query_parts(moments: Moments, weights: Floats) -> list[Part]:
    """One for each collection: what drawing its queries adds to the variance of a comparison."""
    found = []
    for place, size in enumerate(moments.sizes):
        covariance = moments.covariances[..., place, :, :]
        variance = np.einsum("kn,...nm,km->...k", weights, covariance, weights, optimize=True)
        whole = np.einsum("kn,...nm,km->...k", np.abs(weights), np.abs(covariance), np.abs(weights), optimize=True)
        # What is left of equal values, or of equal differences, is rounding.
        height = (np.abs(moments.means[..., place, :]) @ np.abs(weights).T) ** 2
        variance = np.where(variance > np.maximum(1e-12 * whole, 1e-26 * height), variance, 0.0)
        found.append(Part(variance / size / len(moments.sizes) ** 2, np.full_like(variance, size - 1)))
    return found


def sum_of(parts: Sequence[Part]) -> Part:
    """The sum of independent parts; nothing is known of it (df 0) where a part has no degree of freedom.

    Source: Satterthwaite 1946, An Approximate Distribution of Estimates of Variance Components: df = (Σ v)² / Σ (v² /
    df(v)).
    """
    variances = np.stack([part.variance for part in parts])
    degrees = np.stack([np.broadcast_to(part.df, variances.shape[1:]) for part in parts])
    total = variances.sum(0)
    spread = (variances**2 / np.maximum(degrees, 1e-9)).sum(0)
    none = spread == 0
    df = np.where(none, degrees.sum(0), total**2 / np.where(none, 1.0, spread))
    return Part(total, np.where((degrees == 0).any(0), 0.0, df))


def paired_t(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired t-test on differences [queries].

    1 for a single query or where no query differs; 0 where all differ by the same amount.
    """
    return estimate(differences).p


def estimate(differences: ArrayLike) -> Estimate:
    """The mean of differences [queries] of one collection, over queries."""
    return next(iter(over_queries(Moments.of([finite(differences)[None]]), np.ones((1, 1)))))


def above(t: float, df: float) -> float:
    """P(T > t) of Student's t; the half of it that is left to a test when df is 0."""
    if df == 0:
        return 0.5 if t == 0 else 0.0
    return float(special.stdtr(df, -t))


def equivalence(known: Estimate, margin: float) -> float:
    """p-value of the claim that the difference lies within ±margin: two one-sided t-tests, the larger p.

    Below the level chosen, the two systems are equivalent to within `margin`, which is in the measure's own unit and
    must be chosen before looking. 1 where nothing is known about spread. UsageError unless the margin is above 0.

    Source: Schuirmann 1987, A Comparison of the Two One-Sided Tests Procedure and the Power Approach (TOST).
    """
    check_margin(margin)
    if known.df == 0:
        return 1.0
    return max(noninferiority(known, margin), above(-known.t(margin), known.df))


def noninferiority(known: Estimate, margin: float) -> float:
    """p-value of the claim that the difference is above −margin: the one of `equivalence`'s two tests that asks so."""
    check_margin(margin)
    return 1.0 if known.df == 0 else above(known.t(-margin), known.df)


def equivalence_p(differences: ArrayLike, margin: float) -> float:
    """`equivalence` of differences [queries] of one collection, over queries. 1 for a single query."""
    return equivalence(estimate(differences), margin)


def check_margin(margin: float) -> None:
    """UsageError unless the margin is a finite number above 0."""
    if not (math.isfinite(margin) and margin > 0):
        raise UsageError(f"the margin of equivalence is {margin}; expected a finite number above 0")


POWER = 0.8


def power(known: Estimate, difference: float, level: float = LEVEL) -> float:
    """Chance that a two-sided t-test at `level` finds a true `difference`, with the error and df at hand.

    Only a finding in the right direction counts: one in the other is an error (of type III; Urbano, Lima and Hanjalic
    2019, Statistical Significance Testing in Information Retrieval, SIGIR).

    Meant for a difference that was chosen beforehand. The power at the difference that was observed says nothing that
    its p-value did not (Hoenig and Heisey 2001, The Abuse of Power). 0 where nothing is known about spread.

    Source: Sakai 2018, Laboratory Experiments in Information Retrieval (power by the non-central t).
    """
    _check(level)
    if known.df == 0 or difference == 0:
        return 0.0
    return _power(abs(difference) / known.error, known.df, level) if known.error else 1.0


def minimum_detectable_difference(known: Estimate, level: float = LEVEL, wanted: float = POWER) -> float | None:
    """The smallest true difference that is found with power `wanted`: a smaller one may well have been missed.

    With an `Estimate` over queries and seeds it is that of the numbers of both. None where nothing is known about
    spread; 0 where there is none.
    """
    _check(level)
    if not level < wanted < 1:
        raise UsageError(f"a power of {wanted}; expected more than the level, {level}, and less than 1")
    return _detectable(known.df, level, wanted) * known.error if known.df else None


@lru_cache(maxsize=4096)
def _detectable(df: float, level: float, wanted: float) -> float:
    """In standard errors."""
    high = 4.0
    while _power(high, df, level) < wanted:
        high *= 2
    return float(scipy.optimize.brentq(lambda shift: _power(shift, df, level) - wanted, 0.0, high, xtol=1e-6))


def _power(shift: float, df: float, level: float) -> float:
    critical = special.stdtrit(df, 1 - level / 2)
    # Far out, where scipy's non-central t fails, the chi-squared denominator alone decides.
    if shift > 1000:
        return float(special.chdtr(df, df * (shift / critical) ** 2))
    return float(1 - special.nctdtr(df, shift, critical))


def _check(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"a level of {level}; expected a number between 0 and 1")
