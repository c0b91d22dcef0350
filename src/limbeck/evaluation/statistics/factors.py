"""How much of the variance of a study's figures each factor explains: backbone, objective, seed, collection."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from limbeck.core.errors import DataError
from limbeck.evaluation.statistics.comparison import ENOUGH_COLLECTIONS, Interval
from limbeck.evaluation.statistics.components import (
    COLLECTION,
    SEED,
    Figures,
    Term,
    estimates,
    level_effects,
    names,
    terms,
    variances,
)
from limbeck.evaluation.statistics.multiple import LEVEL, all_pairs_level
from limbeck.evaluation.statistics.resampling import draw, percentiles
from limbeck.evaluation.statistics.seeds import over_queries_and_seeds
from limbeck.evaluation.statistics.student import Estimate, over_queries
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
        without_collection: the share of what is left when the collections' own variance, which is how hard they are,
            is taken away; None for that itself, and where `share` is.
        interval: of `share`, 95 %, drawn (see `FactorAnalysis.drawn`); None where nothing can be.
        df, expected: degrees of freedom that the term has, and would have if all levels were crossed.
    """

    term: str
    variance: float
    share: float | None
    without_collection: float | None
    interval: Interval | None
    df: int
    expected: int


@dataclass(frozen=True)
class Effect:
    """How far a level lies from the mean of its factor's levels, other factors being equal.

    Attributes:
        models, recipes: 95 % t intervals of the two questions, see `FactorAnalysis`; None where there is no answer.
    """

    factor: str
    level: str
    effect: float
    models: Interval | None
    recipes: Interval | None


@dataclass(frozen=True)
class Span:
    """The highest level of a factor less the lowest.

    Attributes:
        models, recipes: as of `Effect`, but for all pairs of levels at once: which two these are was seen in the data.
    """

    factor: str
    highest: str
    lowest: str
    difference: float
    models: Interval | None
    recipes: Interval | None


@dataclass(frozen=True)
class Ratio:
    """Two factors against each other.

    Attributes:
        ratio: standard deviation of a's effects by that of b's; None where b has none.
        interval: of the ratio, 95 %, drawn; None where nothing can be, or b may well have no effect at all.
    """

    a: str
    b: str
    ratio: float | None
    interval: Interval | None


@dataclass(frozen=True)
class FactorAnalysis:
    """What the variance of figures is due to.

    Differences are answered as everywhere: *these models* (the units are drawn, the trainings given), and *these
    recipes* (units and seeds are drawn).

    Attributes:
        units: what is drawn in both questions: queries where values per query are known, else collections where they
            are enough, else nothing.
        drawn: what the intervals of shares and ratios are drawn over: collections, seeds, both or nothing.
    """

    shares: tuple[Share, ...]
    effects: tuple[Effect, ...]
    spans: tuple[Span, ...]
    ratios: tuple[Ratio, ...]
    units: Literal["queries", "collections", ""]
    drawn: tuple[str, ...]
    notes: tuple[str, ...]


def analyse_factors(figures: Figures, samples: int = 2000, seed: int = 0) -> FactorAnalysis:
    """Split the variance of figures into terms: factors, their interactions, collections, seeds.

    A configuration counts once, however many seeds it has. The variance of a term is that of the effects at hand
    (Gelman's finite-population variance), from sums of squares of type II, less the share that the spread of seeds adds
    to it on average. A seed belongs to its configuration: `seed` is what training again changes.

    Intervals of differences are those of the tests that claims rest on (`over_queries`, `over_queries_and_seeds`).
    Intervals of shares and ratios, for which there is no such test, are percentile bootstrap ones over seeds and, where
    there are at least five, collections: backbones, objectives and negatives are those at hand. Samples are shifted to
    centre on the estimates, since drawing adds a variance of its own to every sum of squares.

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
    # Few units hardly tell how far they differ: the fewer of those that are drawn count.
    units = count if "collections" in drawn else sum(figures.seeds) - len(figures.seeds) + 1

    def bounds(values: Floats) -> Interval | None:
        if not drawn:
            return None
        low, high = percentiles(values, units=units)
        return float(low), float(high)

    told = [place for place, part in enumerate(parts[: len(figures.factors)]) if part.df == part.expected]
    differences = [_differences(figures, place) for place in told]
    components = {name: (estimate[place], sampled[:, place]) for place, name in enumerate(names(parts))}
    return FactorAnalysis(
        shares=tuple(_shares(figures, parts, estimate, sampled, bounds)),
        effects=tuple(effect for effects, _ in differences for effect in effects),
        spans=tuple(span for _, span in differences),
        ratios=tuple(
            _ratio(figures.factors[a], figures.factors[b], components, bounds) for b, a in combinations(told, 2)
        ),
        units=figures.units,
        drawn=drawn,
        notes=tuple(_notes(parts, figures, drawn, raw)),
    )


def _shares(
    figures: Figures, parts: Sequence[Term], estimate: Floats, sampled: Floats, bounds: Bounds
) -> Iterator[Share]:
    """The components that these figures can tell of: collections and seeds only where there are several."""
    of_whole = sampled / np.maximum(sampled.sum(1, keepdims=True), TINY)
    whole, hardness = float(estimate.sum()), float(estimate[names(parts).index(COLLECTION)])
    for place, name in enumerate(names(parts)):
        words = name.split(" × ")
        if (COLLECTION in words and len(figures.collections) == 1) or (SEED in words and max(figures.seeds) == 1):
            continue
        df, expected = _df(name, figures, parts)
        known = df > 0 or expected == 0
        variance = float(estimate[place])
        yield Share(
            term=name,
            variance=variance,
            share=variance / max(whole, TINY) if known else None,
            without_collection=variance / max(whole - hardness, TINY) if known and name != COLLECTION else None,
            interval=bounds(of_whole[:, place]) if known else None,
            df=df,
            expected=expected,
        )


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


def _differences(figures: Figures, place: int) -> tuple[list[Effect], Span]:
    """The effects of a factor's levels, and its highest less its lowest level."""
    matrix = level_effects(figures.configurations, place)
    effects = matrix @ np.array([one.mean() for one in figures.values])
    factor = figures.factors[place]
    levels = [figures.levels[place][level] for level in np.unique(figures.configurations[:, place])]
    order = np.argsort(effects)
    high, low = order[-1], order[0]
    models, recipes = _answers(figures, np.vstack([matrix, matrix[high] - matrix[low]]))
    return [
        Effect(factor, level, float(effects[row]), _interval(models[row]), _interval(recipes[row]))
        for row, level in enumerate(levels)
    ], Span(
        factor=factor,
        highest=levels[high],
        lowest=levels[low],
        difference=float(effects[high] - effects[low]),
        models=_interval(models[-1], len(levels)),
        recipes=_interval(recipes[-1], len(levels)),
    )


def _answers(figures: Figures, sums: Floats) -> tuple[list[Estimate | None], list[Estimate | None]]:
    """For these models and for these recipes: weighted sums [sums, configurations] of the configurations' means."""
    data = figures.trainings
    if data is None:
        return [None] * len(sums), [None] * len(sums)
    backbones = {one.recipe: one.backbone for one in data.rankers}
    means = np.stack([data.mean([(str(n), backbones[str(n)])]) for n in range(len(figures.values))])
    weights = sums @ means
    return (
        list(over_queries(data.moments, weights)),
        list(over_queries_and_seeds(data.moments, data.layout, weights).estimates),
    )


def _interval(known: Estimate | None, levels: int = 2) -> Interval | None:
    """95 %, for all pairs of `levels` levels at once."""
    if known is None or known.df == 0:
        return None
    return known.interval(1 - all_pairs_level(known.df, levels, LEVEL))


def _ratio(a: str, b: str, components: Mapping[str, tuple[float, Floats]], bounds: Bounds) -> Ratio:
    (of_a, sampled_a), (of_b, sampled_b) = components[a], components[b]
    bounds_b = bounds(sampled_b)
    return Ratio(
        a,
        b,
        float(np.sqrt(of_a / of_b)) if of_b > 0 else None,
        bounds(np.sqrt(sampled_a / np.maximum(sampled_b, TINY))) if bounds_b and bounds_b[0] > 0 else None,
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
    if not figures.units:
        yield "values per query are not known, and collections are too few: differences have no interval"
    if not drawn:
        yield "neither seeds nor enough collections: shares and ratios have no interval"
