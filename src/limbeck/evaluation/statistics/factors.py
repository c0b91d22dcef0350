"""How much of the variance of a study's figures each factor explains: backbone, objective, seed, collection."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from limbeck.errors import DataError
from limbeck.evaluation.statistics.bootstrap import draw
from limbeck.evaluation.statistics.comparison import ENOUGH_COLLECTIONS, Interval
from limbeck.evaluation.statistics.design import Levels, Term, level_effects, terms
from limbeck.evaluation.statistics.pairing import Floats

COLLECTION, SEED = "collection", "seed"
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Figures:
    """Means of one measure: of every configuration (a level of each factor), seed and collection.

    Attributes:
        factors: their names.
        levels: per factor, the names of its levels.
        configurations: [configurations, factors], as indices into `levels`; no two are equal.
        collections: their names.
        values: per configuration [seeds, collections]; configurations may have other numbers of seeds.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    configurations: Levels
    collections: tuple[str, ...]
    values: tuple[Floats, ...] = field(repr=False)


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
        interval: of the ratio, 95 %.
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

    Source: Gelman 2005, Analysis of Variance: Why It Is More Important Than Ever (Annals of Statistics), Section 3.
    """
    if len(figures.configurations) < 2 or not figures.factors:
        raise DataError("factors cannot be analysed: expected two configurations that differ in a factor, or more")
    parts = terms(figures.configurations, figures.factors)
    count = len(figures.collections)
    even = np.full((1, count), 1 / count)
    seeds = [len(values) for values in figures.values]
    estimate = _corrected(_components(figures, parts, even, [np.full((1, n), 1 / n) for n in seeds]), figures, parts)
    drawn = ("collections",) * (count >= ENOUGH_COLLECTIONS) + ("seeds",) * (max(seeds) > 1)
    random = np.random.default_rng(seed)
    weights = np.repeat(even, samples, axis=0)
    if "collections" in drawn:
        weights = draw(random, count, samples)
    of_seeds = [draw(random, n, samples) for n in seeds]
    sampled = _components(figures, parts, weights, of_seeds).mean
    sampled = np.maximum(0.0, sampled + (estimate - sampled.mean(0)))
    names = _names(parts)
    of_whole = sampled / np.maximum(sampled.sum(1, keepdims=True), TINY)
    shares = []
    for place, name in enumerate(names):
        df, expected = _df(name, figures, parts)
        if _shown(name, figures):
            known = df > 0 or expected == 0
            share = float(estimate[place] / max(estimate.sum(), TINY)) if known else None
            interval = _interval(of_whole[:, place]) if known and drawn else None
            shares.append(Share(name, float(estimate[place]), share, interval, df, expected))
    effects = {
        factor: _effects(figures, place, weights, of_seeds, bool(drawn))
        for place, factor in enumerate(figures.factors)
        if parts[place].df == parts[place].expected
    }
    ratios = tuple(_ratio(a, b, estimate, sampled, names, effects, bool(drawn)) for b, a in combinations(effects, 2))
    listed = tuple(effect for found, _ in effects.values() for effect in found)
    return FactorAnalysis(tuple(shares), listed, ratios, drawn, tuple(_notes(parts, figures, drawn)))


@dataclass(frozen=True, eq=False)
class _Components:
    """Variances of samples [rows, terms], in the order of `_names`, and those of seeds per configuration [rows, …]."""

    mean: Floats
    of_seeds: Floats
    of_seeds_and_collections: Floats


def _names(parts: Sequence[Term]) -> list[str]:
    names = [part.name for part in parts]
    return [COLLECTION, *names, *(f"{name} × {COLLECTION}" for name in names), SEED, f"{SEED} × {COLLECTION}"]


def _components(figures: Figures, parts: Sequence[Term], weights: Floats, of_seeds: Sequence[Floats]) -> _Components:
    """Variances of every term, for weights of collections [rows, collections] and of each configuration's seeds."""
    means = np.stack([drawn @ values for drawn, values in zip(of_seeds, figures.values, strict=True)], axis=1)
    count = len(figures.values)
    overall = means.mean(1)
    columns = [(weights * overall**2).sum(1) - (weights * overall).sum(1) ** 2]
    within: list[Floats] = []
    for part in parts:
        effects = np.einsum("kd,rkc->rdc", part.basis, means)
        main = (np.einsum("rdc,rc->rd", effects, weights) ** 2).sum(1) / count
        crossed = np.einsum("rdc,rc->r", effects**2, weights) / count - main
        columns.append(main - sum(columns[1:]) if part.shared else main)
        within.append(crossed - sum(within) if part.shared else crossed)
    seed, with_collections = [], []
    for drawn, values in zip(of_seeds, figures.values, strict=True):
        averages = weights @ values.T
        between = (drawn * averages**2).sum(1) - (drawn * averages).sum(1) ** 2
        total = (drawn * (weights @ (values**2).T)).sum(1) - (weights * (drawn @ values) ** 2).sum(1)
        seed.append(between)
        with_collections.append(total - between)
    seeds = np.stack(seed, 1), np.stack(with_collections, 1)
    return _Components(np.stack([*columns, *within, *(one.mean(1) for one in seeds)], 1), *seeds)


def _corrected(found: _Components, figures: Figures, parts: Sequence[Term]) -> Floats:
    """The estimates [terms]: unbiased variances of seeds, and the others less what these add to them on average."""
    seeds = np.array([len(values) for values in figures.values])
    several = seeds > 1
    unbiased = seeds[several] / (seeds[several] - 1)
    of_seeds = float((found.of_seeds[0, several] * unbiased).mean()) if several.any() else 0.0
    crossed = float((found.of_seeds_and_collections[0, several] * unbiased).mean()) if several.any() else 0.0
    noise = np.array([((part.basis**2).sum(1) / seeds).sum() for part in parts]) / len(seeds)
    if parts[-1].shared:
        noise[-1] -= noise[:-1].sum()
    taken = np.concatenate([[crossed * (1 / seeds).mean() / len(seeds)], noise * of_seeds, noise * crossed])
    return np.concatenate([np.maximum(0.0, found.mean[0, :-2] - taken), [of_seeds, max(0.0, crossed)]])


def _shown(name: str, figures: Figures) -> bool:
    seeds = max(len(values) for values in figures.values) > 1
    one_collection = len(figures.collections) == 1 and COLLECTION in name.split(" × ")
    return not one_collection and (seeds or SEED not in name.split(" × "))


def _df(name: str, figures: Figures, parts: Sequence[Term]) -> tuple[int, int]:
    collections = len(figures.collections) - 1
    seeds = sum(len(values) - 1 for values in figures.values)
    known = {part.name: (part.df, part.expected) for part in parts}
    known |= {COLLECTION: (collections, collections), SEED: (seeds, seeds)}
    if name in known:
        return known[name]
    df, expected = known[name.removesuffix(f" × {COLLECTION}")]
    return df * collections, expected * collections


def _effects(
    figures: Figures, place: int, weights: Floats, of_seeds: Sequence[Floats], drawn: bool
) -> tuple[list[Effect], Floats]:
    """The effects of a factor's levels, and their samples [rows, levels]."""
    matrix = level_effects(figures.configurations, place)
    values = np.array([one.mean() for one in figures.values])
    columns = [((of @ one) * weights).sum(1) for of, one in zip(of_seeds, figures.values, strict=True)]
    sampled = np.stack(columns, 1) @ matrix.T
    names = [figures.levels[place][level] for level in np.unique(figures.configurations[:, place])]
    return [
        Effect(figures.factors[place], name, float(effect), _interval(sampled[:, i]) if drawn else None)
        for i, (name, effect) in enumerate(zip(names, matrix @ values, strict=True))
    ], sampled


def _ratio(
    a: str,
    b: str,
    estimate: Floats,
    sampled: Floats,
    names: Sequence[str],
    effects: dict[str, tuple[list[Effect], Floats]],
    drawn: bool,
) -> Ratio:
    of_a, of_b = names.index(a), names.index(b)
    known = estimate[of_b] > 0
    spans, intervals = [], []
    for factor in (a, b):
        found, samples = effects[factor]
        order = np.argsort([one.effect for one in found])
        spans.append(found[order[-1]].effect - found[order[0]].effect)
        intervals.append(_interval(samples[:, order[-1]] - samples[:, order[0]]) if drawn else None)
    return Ratio(
        a,
        b,
        float(np.sqrt(estimate[of_a] / estimate[of_b])) if known else None,
        _interval(np.sqrt(sampled[:, of_a] / np.maximum(sampled[:, of_b], TINY))) if known and drawn else None,
        (spans[0], spans[1]),
        (intervals[0], intervals[1]),
    )


def _interval(sampled: Floats) -> Interval:
    low, high = np.quantile(sampled, [0.025, 0.975])
    return float(low), float(high)


def _notes(parts: Sequence[Term], figures: Figures, drawn: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if part.df < part.expected:
            left = f"{part.df} of {part.expected} degrees of freedom" if part.df else "no degree of freedom"
            yield f"{part.name} has {left} beside the other terms: the rest cannot be told from them in these data"
    if max(len(values) for values in figures.values) == 1:
        yield "one value for each configuration: what another seed would change is not known, and is within the others"
    if len(figures.collections) < ENOUGH_COLLECTIONS:
        yield f"{len(figures.collections)} collections are too few to draw: the figures hold for these alone"
    if not drawn:
        yield "neither seeds nor enough collections: there are no intervals"
