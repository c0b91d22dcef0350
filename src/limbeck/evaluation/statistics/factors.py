"""How much of the variance of a study's figures each factor explains: backbone, objective, seed, collection."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from limbeck.core.errors import DataError
from limbeck.evaluation.statistics.bootstrap import draw, percentiles
from limbeck.evaluation.statistics.comparison import ENOUGH_COLLECTIONS, Interval
from limbeck.evaluation.statistics.components import COLLECTION, SEED, Figures, estimates, names, variances
from limbeck.evaluation.statistics.design import Term, level_effects, terms
from limbeck.evaluation.statistics.trainings import Floats

TINY = 1e-300

Bounds = Callable[[Floats], Interval | None]
"""The 95 % interval of samples [rows]; None where nothing can be drawn."""


@dataclass(frozen=True)
class Share:
    """What one term explains.

    Attributes:
        variance: of the term's effects, in the measure's unit squared, less what differences between seeds feign.
        share: of the sum over all terms; None where the term cannot be told from others (`df` 0).
        interval: of the share, 95 %; None where nothing can be drawn.
        df, expected: degrees of freedom that the term has, and would have if all levels were crossed.
    """

    term: str
    variance: float
    share: float | None
    interval: Interval | None
    df: int
    expected: int


@dataclass(frozen=True)
class Effect:
    """How far a level lies from the mean of its factor's levels, other factors being equal; with its 95 % interval."""

    factor: str
    level: str
    effect: float
    interval: Interval | None


@dataclass(frozen=True)
class Ratio:
    """Two factors against each other.

    Attributes:
        ratio: standard deviation of a's effects by that of b's; None where b has none.
        interval: of the ratio, 95 %; None where nothing can be drawn, or b may well have no effect at all.
        spans: highest less lowest level, of a and of b, and the interval of each.
    """

    a: str
    b: str
    ratio: float | None
    interval: Interval | None
    spans: tuple[float, float]
    span_intervals: tuple[Interval | None, Interval | None]


@dataclass(frozen=True)
class FactorAnalysis:
    """`drawn` names what the intervals are drawn over: collections, seeds, both or nothing."""

    shares: tuple[Share, ...]
    effects: tuple[Effect, ...]
    ratios: tuple[Ratio, ...]
    drawn: tuple[str, ...]
    notes: tuple[str, ...]


def analyse_factors(figures: Figures, samples: int = 2000, seed: int = 0) -> FactorAnalysis:
    """Split the variance of figures into terms: factors, their interactions, collections, seeds.

    A configuration counts once, however many seeds it has. The variance of a term is that of the effects at hand
    (Gelman's finite-population variance), from sums of squares of type II, less the share that the spread of seeds adds
    to it on average. A seed belongs to its configuration: `seed` is what training again changes.

    Intervals are percentile bootstrap ones over seeds and, where there are at least five, collections: backbones,
    objectives and negatives are those at hand. Samples are shifted to centre on the estimates, since drawing adds a
    variance of its own to every sum of squares.

    Raises:
        DataError: fewer than two configurations, or no factor.

    Source: Gelman 2005, Analysis of Variance: Why It Is More Important Than Ever (Annals of Statistics).
    """
    if len(figures.configurations) < 2 or not figures.factors:
        raise DataError("factors cannot be analysed: expected two configurations that differ in a factor, or more")
    parts = terms(figures.configurations, figures.factors)
    count = len(figures.collections)
    raw = estimates(figures, parts)
    estimate = np.maximum(0.0, raw)
    drawn = ("collections",) * (count >= ENOUGH_COLLECTIONS) + ("seeds",) * (max(figures.seeds) > 1)
    random = np.random.default_rng(seed)
    weights = draw(random, count, samples) if "collections" in drawn else np.full((samples, count), 1 / count)
    of_seeds = [draw(random, seeds, samples) for seeds in figures.seeds]
    sampled = variances(figures, parts, weights, of_seeds)
    sampled = np.maximum(0.0, sampled + (estimate - sampled.mean(0)))

    def bounds(values: Floats) -> Interval | None:
        if not drawn:
            return None
        low, high = percentiles(values, units=count if "collections" in drawn else None)
        return float(low), float(high)

    effects = {
        factor: _effects(figures, place, weights, of_seeds, bounds)
        for place, factor in enumerate(figures.factors)
        if parts[place].df == parts[place].expected
    }
    components = {name: (estimate[place], sampled[:, place]) for place, name in enumerate(names(parts))}
    return FactorAnalysis(
        tuple(_shares(figures, parts, estimate, sampled, bounds)),
        tuple(effect for found, _ in effects.values() for effect in found),
        tuple(_ratio(a, b, components, effects, bounds) for b, a in combinations(effects, 2)),
        drawn,
        tuple(_notes(parts, figures, drawn, raw)),
    )


def _shares(
    figures: Figures, parts: Sequence[Term], estimate: Floats, sampled: Floats, bounds: Bounds
) -> Iterator[Share]:
    """The components that these figures can tell of: collections and seeds only where there are several."""
    of_whole = sampled / np.maximum(sampled.sum(1, keepdims=True), TINY)
    for place, name in enumerate(names(parts)):
        words = name.split(" × ")
        if (COLLECTION in words and len(figures.collections) == 1) or (SEED in words and max(figures.seeds) == 1):
            continue
        df, expected = _df(name, figures, parts)
        known = df > 0 or expected == 0
        share = float(estimate[place] / max(estimate.sum(), TINY)) if known else None
        yield Share(name, float(estimate[place]), share, bounds(of_whole[:, place]) if known else None, df, expected)


def _df(name: str, figures: Figures, parts: Sequence[Term]) -> tuple[int, int]:
    """Degrees of freedom of a component, and those expected."""
    collections = len(figures.collections) - 1
    seeds = sum(figures.seeds) - len(figures.seeds)
    known = {part.name: (part.df, part.expected) for part in parts}
    known |= {COLLECTION: (collections, collections), SEED: (seeds, seeds)}
    if name in known:
        return known[name]
    df, expected = known[name.removesuffix(f" × {COLLECTION}")]
    return df * collections, expected * collections


def _effects(
    figures: Figures, place: int, weights: Floats, of_seeds: Sequence[Floats], bounds: Bounds
) -> tuple[list[Effect], Floats]:
    """The effects of a factor's levels, and their samples [rows, levels]."""
    matrix = level_effects(figures.configurations, place)
    values = np.array([one.mean() for one in figures.values])
    columns = [((of @ one) * weights).sum(1) for of, one in zip(of_seeds, figures.values, strict=True)]
    sampled = np.stack(columns, 1) @ matrix.T
    levels = [figures.levels[place][level] for level in np.unique(figures.configurations[:, place])]
    return [
        Effect(figures.factors[place], level, float(effect), bounds(sampled[:, i]))
        for i, (level, effect) in enumerate(zip(levels, matrix @ values, strict=True))
    ], sampled


def _ratio(
    a: str,
    b: str,
    components: Mapping[str, tuple[float, Floats]],
    effects: Mapping[str, tuple[list[Effect], Floats]],
    bounds: Bounds,
) -> Ratio:
    (of_a, sampled_a), (of_b, sampled_b) = components[a], components[b]
    bounds_b = bounds(sampled_b)
    spans, intervals = [], []
    for factor in (a, b):
        found, samples = effects[factor]
        order = np.argsort([one.effect for one in found])
        spans.append(found[order[-1]].effect - found[order[0]].effect)
        intervals.append(bounds(samples[:, order[-1]] - samples[:, order[0]]))
    return Ratio(
        a,
        b,
        float(np.sqrt(of_a / of_b)) if of_b > 0 else None,
        bounds(np.sqrt(sampled_a / np.maximum(sampled_b, TINY))) if bounds_b and bounds_b[0] > 0 else None,
        (spans[0], spans[1]),
        (intervals[0], intervals[1]),
    )


def _notes(parts: Sequence[Term], figures: Figures, drawn: Sequence[str], raw: Floats) -> Iterator[str]:
    for part in parts:
        if part.df < part.expected:
            left = f"{part.df} of {part.expected} degrees of freedom" if part.df else "no degree of freedom"
            yield f"{part.name} has {left} beside the other terms: the rest cannot be told from them in these data"
    if parts[-1].shared and raw[len(parts)] < -0.01 * raw[1 : len(parts)].sum():
        yield "factors that go together work against one another: their terms add up to more than the variance there is"
    if max(figures.seeds) == 1:
        yield "one value for each configuration: what another seed would change is not known, and is within the others"
    if len(figures.collections) < ENOUGH_COLLECTIONS:
        yield f"too few collections to draw ({len(figures.collections)}): the figures hold for these alone"
    if not drawn:
        yield "neither seeds nor enough collections: there are no intervals"
