"""The question of *these recipes*: queries and seeds are drawn.

One linear mixed model for each backbone: the mean of a training is that of its recipe + what the prefix brings that it
shares with others + what its own seed brings. The variances of the two are the same for all recipes, so that every
seed of every recipe tells of them; they are estimated by analysis of variance, which for balanced data is REML.

Sources: Obuchowski and Rockette 1995, Hypothesis Testing of Diagnostic Accuracy for Multiple Readers and Multiple
Tests (readers × cases are seeds × queries); Hillis 2007, A Comparison of Denominator Degrees of Freedom Methods for
Multiple Observer ROC Analysis; Carterette 2012, Multiple Testing in Statistical Analysis of Systems-Based Information
Retrieval Experiments (one model, not many tests); Ferro and Silvello 2018, Toward an Anatomy of IR System Component
Performances (system, topic and their interaction as components); Searle, Casella and McCulloch 1992, Variance
Components, ch. 4 and 5 (Henderson's method III, for unequal numbers).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from limbeck.evaluation.statistics.student import Estimates, Part, mean_differences, query_parts, sum_of
from limbeck.evaluation.statistics.trainings import Floats, Integers, Layout, Moments

UNEVEN = 0.05
"""Bartlett's p-value below which recipes' seed variances are taken to differ."""

CAUTION = 0.8
"""Confidence of the upper limit of the seeds' variance that degrees of freedom are reckoned with."""


@dataclass(frozen=True, eq=False)
class Recipes:
    """The answer to the question of these recipes.

    Attributes:
        estimates: [..., comparisons]; df 0 where nothing is known of the seeds.
        unevenness: backbone (its number in the layout) → [...], the p-value of Bartlett's test that the seeds of all
            its recipes vary alike; only backbones of which two recipes or more have several seeds.
    """

    estimates: Estimates
    unevenness: dict[int, Floats]


def over_queries_and_seeds(moments: Moments, layout: Layout, weights: Floats) -> Recipes:
    """*These recipes*: queries and seeds are drawn, each query meeting each seed: what would hold after training again.

    The variance over queries of the values averaged over seeds holds the query effects and the share of the
    interaction of query and seed; to it comes the variance over seeds, less the interaction, which would count twice.
    A training that is its recipe's only one borrows the seed variance of its backbone; a ranker that no seed changes
    (recipe −1) adds none. Nothing is known (df 0) where no recipe of a backbone that is compared has a second seed.

    Args:
        weights: [comparisons, trainings]; a comparison is the weighted sum of the trainings' values.
    """
    parts = query_parts(moments, weights)
    of_queries = sum_of(parts)
    seeds: list[Part] = []
    interaction = np.zeros_like(of_queries.variance)
    unevenness = {}
    unknown = of_queries.df == 0
    for backbone in np.unique(layout.backbones[layout.backbones >= 0]):
        model = _Seeds(moments, layout, np.flatnonzero(layout.backbones == backbone))
        if not model.known:
            unknown = unknown | (weights[:, model.places] != 0).any(1)
            continue
        if model.uneven is not None:
            unevenness[int(backbone)] = model.uneven
        parts_of_seeds = model.parts(weights[:, model.places])
        seeds.append(_cautious_sum([part for part, _ in parts_of_seeds]))
        interaction = interaction + sum(share for _, share in parts_of_seeds)
    of_seeds = sum_of(seeds) if seeds else Part(np.zeros_like(interaction), np.full_like(interaction, np.inf))
    variance = of_queries.variance + np.maximum(0.0, of_seeds.variance - interaction)
    degrees = np.where(unknown, 0.0, _degrees(of_queries, of_seeds, interaction))
    return Recipes(Estimates(mean_differences(moments, weights), np.sqrt(variance), degrees), unevenness)


def _cautious_sum(parts: Sequence[Part]) -> Part:
    """The sum of a backbone's parts, with Satterthwaite's degrees of freedom from the upper limit of each."""
    total = sum((part.variance for part in parts), np.zeros_like(parts[0].variance))
    limits, spread = np.zeros_like(total), np.zeros_like(total)
    for part in parts:
        df = np.where(np.isfinite(part.df), part.df, 1.0)
        limit = np.where(np.isfinite(part.df), part.variance, 0.0) * df / special.chdtri(df, CAUTION)
        limits, spread = limits + limit, spread + limit**2 / df
    return Part(total, np.where(spread > 0, limits**2 / np.where(spread > 0, spread, 1.0), np.inf))


def _degrees(of_queries: Part, of_seeds: Part, interaction: Floats) -> Floats:
    """Satterthwaite's degrees of freedom, with the seeds' share of the variance taken at its upper limit of 80 %.

    With the share as estimated they are too many just where a few seeds happen to lie close: where the seeds' true
    variance is ten times the queries', two degrees of freedom would reject .077 of true null hypotheses at .05, and at
    a fifteenth of it 6.5 times as many as stated. From ten degrees of freedom on the limit changes next to nothing.
    """
    known = np.isfinite(of_seeds.df)
    df = np.where(known, of_seeds.df, 1.0)
    limit = of_seeds.variance * np.where(known, df / special.chdtri(df, CAUTION), 0.0)
    total = of_queries.variance + np.maximum(0.0, limit - interaction)
    spread = of_queries.variance**2 / np.maximum(of_queries.df, 1e-9) + limit**2 / df
    found = np.where(spread > 0, total**2 / np.where(spread > 0, spread, 1.0), of_queries.df)
    # Where interactions cancel the seeds' variance, the quotient falls below the degrees of freedom of either.
    return np.asarray(np.maximum(found, np.minimum(of_queries.df, np.where(limit > 0, df, np.inf))))


class _Seeds:
    """The mixed model of one backbone's trainings."""

    def __init__(self, moments: Moments, layout: Layout, places: Integers):
        self.places = places
        self.moments = moments
        self.recipes = np.eye(layout.recipes.max() + 1)[layout.recipes[places]]
        self.recipes = self.recipes[:, self.recipes.any(0)]
        self.prefixes = np.eye(layout.prefixes.max() + 1)[layout.prefixes[places]]
        self.within = _residual(self.recipes)
        self.rest = _residual(np.hstack([self.recipes, self.prefixes]))
        self.df = round(float(np.trace(self.within)))
        self.df_rest = round(float(np.trace(self.rest)))
        self.known = self.df > 0
        self.means = moments.means[..., places].mean(-2)
        self.counts = self.recipes.sum(0)
        self.uneven = self._bartlett() if (self.counts > 1).sum() > 1 else None

    def parts(self, weights: Floats) -> list[tuple[Part, Floats]]:
        """Parts of the variance of comparisons that seeds add, each with the interaction's share in it.

        Let w be a comparison's weights, of which Σw² fall to the trainings' own seeds and Σ(Σw)², over the trainings
        of a prefix, to what prefixes bring; the latter is 0 where both sides have the same prefixes. Without shared
        prefixes the first is all. Where there is no telling the two apart, all counts as own, which is cautious.
        """
        own = (weights**2).sum(1)
        shared = ((weights @ self.prefixes) ** 2).sum(1)
        left = self.df - self.df_rest
        if self.df_rest == 0:
            return self._unshared(weights)
        # E[MS of prefixes] = own variance + (trace / left) × prefixes' variance.
        trace = float(np.trace(self.prefixes.T @ self.within @ self.prefixes))
        share = shared * left / trace if trace > 1e-9 else np.zeros_like(shared)
        parts = [self._part(self.rest, self.df_rest, own - share)]
        if left:
            parts.append(self._part(self.within - self.rest, left, share))
        return parts

    def _unshared(self, weights: Floats) -> list[tuple[Part, Floats]]:
        """Pooled over recipes; where these differ strongly, each recipe's own variance, shrunk towards the pooled."""
        pooled = self._part(self.within, self.df, (weights**2).sum(1))
        if self.uneven is None or not (self.uneven < UNEVEN).any():
            return [pooled]
        loads = weights**2 @ self.recipes
        own, df = self._shrunk()
        of_recipes = [
            Part(own[..., [r]] * loads[:, r], np.where(loads[:, r] > 0, df[..., [r]], np.inf))
            for r in range(len(self.counts))
        ]
        uneven = (self.uneven < UNEVEN)[..., None]
        interaction = pooled[1] / np.maximum(loads.sum(1), 1e-300)
        even = (Part(np.where(uneven, 0.0, pooled[0].variance), pooled[0].df), np.where(uneven, 0.0, pooled[1]))
        return [even] + [
            (Part(np.where(uneven, part.variance, 0.0), part.df), np.where(uneven, interaction * loads[:, r], 0.0))
            for r, part in enumerate(of_recipes)
        ]

    def _part(self, projection: Floats, df: int, factor: Floats) -> tuple[Part, Floats]:
        square = np.einsum("...n,nm,...m->...", self.means, projection, self.means) / df
        interaction = np.zeros_like(square)
        for place, size in enumerate(self.moments.sizes):
            covariance = self.moments.covariances[..., place, self.places[:, None], self.places]
            interaction = interaction + np.einsum("nm,...mn->...", projection, covariance) / df / size
        interaction = np.maximum(0.0, interaction) / len(self.moments.sizes) ** 2
        return Part(np.maximum(0.0, square[..., None] * factor), np.full(factor.shape, float(df))), (
            interaction[..., None] * factor
        )

    def _squares(self) -> Floats:
        """[..., recipes]: sums of squares over the seeds of each recipe."""
        return np.asarray((self.means @ self.within) ** 2 @ self.recipes)

    def _bartlett(self) -> Floats:
        """Source: Bartlett 1937, Properties of Sufficiency and Statistical Tests."""
        df = self.counts - 1
        several = df > 0
        squares, df = self._squares()[..., several], df[several]
        pooled = squares.sum(-1) / df.sum()
        variances = np.maximum(squares / df, 1e-9 * pooled[..., None] + 1e-300)
        statistic = df.sum() * np.log(np.maximum(pooled, 1e-300)) - (df * np.log(variances)).sum(-1)
        correction = 1 + ((1 / df).sum() - 1 / df.sum()) / (3 * (len(df) - 1))
        return np.asarray(special.chdtrc(len(df) - 1, statistic / correction))

    def _shrunk(self) -> tuple[Floats, Floats]:
        """[..., recipes]: variances of a recipe's seeds, shrunk towards the pooled one, and degrees of freedom.

        Source: Smyth 2004, Linear Models and Empirical Bayes Methods for Assessing Differential Expression, section 6.2
        (how far to shrink follows from how far the logarithms of the variances scatter beyond chance).
        """
        df = self.counts - 1
        several = df > 0
        squares = self._squares()
        pooled = squares.sum(-1, keepdims=True) / self.df
        variances = np.maximum(squares[..., several] / df[several], 1e-9 * pooled + 1e-300)
        logs = np.log(variances) - special.digamma(df[several] / 2) + np.log(df[several] / 2)
        beyond = logs.var(-1, ddof=1) - special.polygamma(1, df[several] / 2).mean()
        prior = np.where(beyond > 0, 2 * _inverse_trigamma(np.maximum(beyond, 1e-6)), np.inf)[..., None]
        prior = np.minimum(prior, 1e6)
        return (prior * pooled + squares) / (prior + df), np.minimum(prior + df, self.df)


def _residual(columns: Floats) -> Floats:
    """The projection on what the columns do not span."""
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    basis = left[:, size > 1e-8]
    return np.asarray(np.eye(len(columns)) - basis @ basis.T)


def _inverse_trigamma(values: Floats) -> Floats:
    """The x of which the trigamma function is `values`, by Newton's steps on its reciprocal, which is nearly linear."""
    found = 0.5 + 1 / values
    for _ in range(20):
        trigamma = special.polygamma(1, found)
        found = found + trigamma * (1 - trigamma / values) / special.polygamma(2, found)
    return np.asarray(found)
