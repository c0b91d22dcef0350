"""Student's t on paired differences: over queries alone, and over queries and seeds."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from limbeck.evaluation.statistics.pairing import Floats, Paired, finite


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
        """The t statistic against `mean`; ±inf without spread, 0 where nothing is known or nothing differs."""
        distance = self.difference - mean
        if distance == 0 or self.df == 0:
            return 0.0
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


def over_queries(pairs: Paired) -> Estimate:
    """Queries are drawn; the seeds, over which values are averaged, and the collections are those at hand.

    One collection: the paired t-test. Several: the collections are strata, the error that of a mean of means, its
    degrees of freedom Welch's and Satterthwaite's.

    Source: Sakai 2018, Laboratory Experiments in Information Retrieval (paired t-test); Satterthwaite 1946, An
    Approximate Distribution of Estimates of Variance Components: df = (Σ v)² / Σ v² / df(v) of independent variances v.
    """
    parts = [(variance_of_mean(one), len(one) - 1) for one in pairs.differences]
    if not all(df for _, df in parts):
        return Estimate(pairs.difference, 0.0, 0.0)
    scale = len(parts) ** 2
    variances = [variance / scale for variance, _ in parts]
    total = sum(variances)
    if total == 0:
        return Estimate(pairs.difference, 0.0, float(sum(df for _, df in parts)))
    spread = sum(variance**2 / df for variance, (_, df) in zip(variances, parts, strict=True))
    return Estimate(pairs.difference, math.sqrt(total), total**2 / spread)


def over_queries_and_seeds(pairs: Paired) -> Estimate:
    """Queries and seeds are drawn, each query meeting each seed: what would hold after training again.

    The variance over queries of the values averaged over seeds holds the query effects and the share of the
    interaction; that of each system's seeds is added, less the interaction, which would count twice. A system with a
    single seed adds nothing: what another seed would change is then unknown.

    Few seeds that differ much are hardly known either: at .05 a true null hypothesis is then rejected by simulation in
    up to 12 % of cases with two seeds, 7 % with three and 6 % with five; in 5 % where queries matter as much.

    Source: two-way random-effects analysis as for readers × cases; Obuchowski and Rockette 1995; the degrees of
    freedom: Hillis 2007, A Comparison of Denominator Degrees of Freedom Methods for Multiple Observer ROC Analysis.
    """
    alone = over_queries(pairs)
    if alone.df == 0:
        return alone
    variance, fewest = alone.error**2, alone.df
    spread = variance**2 / alone.df
    for of_seeds, interaction, df in _seed_variances(pairs):
        variance += max(0.0, of_seeds - interaction)
        spread += of_seeds**2 / df
        fewest = min(fewest, df)
    # Where interactions cancel the seeds' variance, the quotient falls below the degrees of freedom of every part.
    return Estimate(alone.difference, math.sqrt(variance), max(fewest, variance**2 / spread) if spread else alone.df)


def paired_t(differences: ArrayLike) -> float:
    """Two-sided p-value of the paired t-test on differences [queries].

    1 for a single query or where no query differs; 0 where all differ by the same amount.
    """
    return estimate(differences).p


def estimate(differences: ArrayLike) -> Estimate:
    """The mean of differences [queries] of one collection, over queries."""
    values = finite(differences)[None]
    return over_queries(Paired((values,), (np.zeros_like(values),)))


def above(t: float, df: float) -> float:
    """P(T > t) of Student's t; the half of it that is left to a test when df is 0."""
    if df == 0:
        return 0.5 if t == 0 else 0.0
    return float(special.stdtr(df, -t))


def variance_of_mean(values: Floats) -> float:
    """Squared standard error of the mean of independent values; 0 where all are equal."""
    # Exactly equal values can have a mean that rounding moved off them.
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 and np.ptp(values) > 0 else 0.0


def _seed_variances(pairs: Paired) -> Iterator[tuple[float, float, int]]:
    """Of each system with several seeds: variance of its mean over seeds, the interaction's part, degrees of freedom.

    A collection of one query gives no interaction to take off, which errs towards caution.
    """
    for side in (pairs.a, pairs.b):
        seeds = len(side[0])
        if seeds < 2:
            continue
        of_seeds = variance_of_mean(np.mean([values.mean(1) for values in side], axis=0))
        interaction = 0.0
        for values in side:
            queries = values.shape[1]
            rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
            mean_square = float((rest**2).sum()) / max(1, (seeds - 1) * (queries - 1))
            interaction += mean_square / (queries * seeds) / len(side) ** 2
        yield of_seeds, interaction, seeds - 1
