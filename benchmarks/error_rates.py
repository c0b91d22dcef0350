"""How often the rule by which a report makes claims is wrong, by simulation, beside the rule that it replaced.

    python benchmarks/error_rates.py                      all designs (about ten minutes on one core)
    python benchmarks/error_rates.py --only seeds --replications 500
    python benchmarks/error_rates.py --limits             two recipes, by the limit that `CAUTION` is
    python benchmarks/error_rates.py --equal-error        two recipes: power of both rules where both err as often

Whole studies are drawn: recipes × seeds × backbones on collections of queries, with effects of queries, of seeds, of
both together, and of prefixes that seeds share. To each the whole rule is applied as the report applies it: every two
recipes over all backbones and collections (the claims), every two on each collection and backbone (the pairs), every
recipe against the first stage (the marks), each family corrected as the report does. Printed for each design, at .05:

error     share of single true null hypotheses rejected by ▲ (these recipes) and △ (these models)
any       share of studies of equal recipes in which any claim, pair or mark is ▲: the family-wise errors
partly    the same of claims where half of the recipes are better, so that some hypotheses are true and some are not
covers    share of the 95 % intervals of these recipes that hold the truth
power     share of the true differences that claims find, in the right direction; and of the old rule
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from limbeck.evaluation import randomisation_tests
from limbeck.evaluation.statistics.multiple import holm, tukey_holm
from limbeck.evaluation.statistics.seeds import over_queries_and_seeds
from limbeck.evaluation.statistics.student import Estimates, mean_differences, over_queries, query_parts
from limbeck.evaluation.statistics.trainings import Layout, Moments

Floats = NDArray[np.float64]
Generator = np.random.Generator
LEVEL = 0.05
ELEMENTS = 30_000_000
"""Values that are drawn at a time."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """A study. Standard deviations are those of one training's mean or value; effects of a pair are √2 times as large.

    Attributes:
        seeds: per recipe; the last recipe may be the only one with another number.
        sizes: queries per collection.
        of_queries: what a recipe does to a query; of_interaction: what a seed does to it; of_seeds: to all of them.
        shared: the share of a seed's variance that trainings of the same prefix have in common (ρ); None: no prefixes.
        uneven: by how much the seed variance of every second recipe is larger.
        shape: of the query effects: rare: one in twenty queries gains much; tied: nine in ten do not differ at all.
    """

    seeds: tuple[int, ...] = (2,) * 6
    sizes: tuple[int, ...] = (43,)
    backbones: int = 1
    of_queries: float = 0.14
    of_interaction: float = 0.07
    of_seeds: float = 0.01
    shared: float | None = None
    uneven: float = 1.0
    shape: Literal["normal", "rare", "tied"] = "normal"

    @property
    def labels(self) -> list[tuple[int, int, int]]:
        """(backbone, recipe, seed) of each training."""
        return [(b, r, s) for b in range(self.backbones) for r, seeds in enumerate(self.seeds) for s in range(seeds)]

    @property
    def layout(self) -> Layout:
        """The trainings, then the first stage."""
        labels = self.labels
        prefix = [b * 100 + s if self.shared is not None else n for n, (b, _, s) in enumerate(labels)]
        codes = [[b for b, _, _ in labels], [b * len(self.seeds) + r for b, r, _ in labels], prefix]
        return Layout(*(np.array([*one, -1]) for one in codes))

    def draw(self, random: Generator, replications: int, shifts: Sequence[float]) -> tuple[list[Floats], Floats]:
        """Values per collection [replications, trainings and first stage, queries], and what each training is worth
        [replications, trainings and first stage]: its recipe's shift and what its seed brings."""
        backbones, recipes, seeds = np.array(self.labels).T
        trainings = len(backbones)
        scale = np.where(recipes % 2 == 0, 1.0, np.sqrt(self.uneven)) * self.of_seeds
        own = random.normal(0, 1, (replications, trainings))
        if self.shared is not None:
            common = random.normal(0, 1, (replications, self.backbones, max(self.seeds)))[:, backbones, seeds]
            own = np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * own
        level = np.asarray(shifts)[recipes] + scale * own
        found = []
        for size in self.sizes:
            values = np.zeros((replications, trainings + 1, size))
            values[:] = random.normal(0, 0.25, (replications, 1, size))
            effects = self._effects(random, (replications, self.backbones * len(self.seeds) + 1, size))
            which = np.array([*(backbones * len(self.seeds) + recipes), self.backbones * len(self.seeds)])
            values += effects[:, which]
            values[:, :-1] += level[..., None]
            if self.of_interaction:
                values[:, :-1] += random.normal(0, self.of_interaction, (replications, trainings, size))
            found.append(values)
        return found, np.concatenate([level, np.zeros((replications, 1))], axis=1)

    def _effects(self, random: Generator, shape: tuple[int, ...]) -> Floats:
        if self.shape == "normal":
            return random.normal(0, self.of_queries, shape)
        if self.shape == "tied":
            tied = random.random((shape[0], 1, shape[2])) < 0.9
            return np.where(tied, 0.0, random.normal(0, self.of_queries * np.sqrt(10), shape))
        effects = random.normal(0, self.of_queries / 10, shape)
        gains = random.random(shape) < 0.05
        effects += self.of_queries * (gains - 0.05) / np.sqrt(0.05 * 0.95)
        effects[:, 1:] *= 0.05  # one recipe gains, the others hardly differ
        return effects

    def spread(self) -> float:
        """The standard error of the difference between two recipes over everything, as if variances were known."""
        of_seeds = self.of_seeds**2 * (1 + self.uneven) / 2 * (1 - (self.shared or 0.0))
        seeds = 1 / min(self.seeds) + 1 / max(self.seeds)
        of_queries = (
            sum(
                2 * self.of_queries**2 / n / self.backbones + self.of_interaction**2 * seeds / n / self.backbones
                for n in self.sizes
            )
            / len(self.sizes) ** 2
        )
        return float(np.sqrt(of_queries + of_seeds * seeds / self.backbones))


Q, S = {"of_seeds": 0.002}, {"of_seeds": 0.01, "of_interaction": 0.05}
DESIGNS = {
    "queries dominate, 1 seed, 21 queries": Design(seeds=(1,) * 6, sizes=(21,), of_seeds=0.0),
    "queries dominate, 1 seed, 150 queries": Design(seeds=(1,) * 6, sizes=(150,), of_seeds=0.0),
    "queries dominate, 2 seeds, 21 queries": Design(sizes=(21,), **Q),
    "queries dominate, 2 seeds, 43 queries": Design(**Q),
    "queries dominate, 3 seeds, 43 queries": Design(seeds=(3,) * 6, **Q),
    "queries dominate, 5 seeds, 150 queries": Design(seeds=(5,) * 6, sizes=(150,), **Q),
    "both, 2 seeds, 43 queries": Design(of_seeds=0.03),
    "both, 3 seeds, 150 queries": Design(seeds=(3,) * 6, sizes=(150,), of_seeds=0.015),
    "both, 5 seeds, 43 queries": Design(seeds=(5,) * 6, of_seeds=0.03),
    "queries dominate, 2 recipes, 2 seeds, 43 queries": Design(seeds=(2, 2), **Q),
    "both, 2 recipes, 2 seeds, 43 queries": Design(seeds=(2, 2), of_seeds=0.03),
    "both, 2 recipes, 3 seeds, 150 queries": Design(seeds=(3, 3), sizes=(150,), of_seeds=0.015),
    "seeds dominate, 2 seeds, sd .005, 7,000 queries": Design(sizes=(7000,), of_seeds=0.005),
    "seeds dominate, 2 seeds, sd .01, 7,000 queries": Design(sizes=(7000,), of_seeds=0.01),
    "seeds dominate, 3 seeds, sd .01, 7,000 queries": Design(seeds=(3,) * 6, sizes=(7000,), of_seeds=0.01),
    "seeds dominate, 2 recipes, 2 seeds, 7,000 queries": Design(seeds=(2, 2), sizes=(7000,), of_seeds=0.01),
    "collections of 49 to 10,000, 2 seeds": Design(seeds=(2,) * 3, sizes=(49, 50, 249, 648, 1406, 10000), **S),
    "13 collections of 50, 3 recipes, 2 seeds": Design(seeds=(2,) * 3, sizes=(50,) * 13, **S),
    "3 backbones, 2 seeds, 43 queries": Design(seeds=(2,) * 4, backbones=3, of_seeds=0.02),
    "3 backbones, 2 recipes, 2 seeds, 150 queries": Design(seeds=(2,) * 2, backbones=3, sizes=(150,), of_seeds=0.03),
    "5 seeds v 1, 43 queries": Design(seeds=(5, 5, 5, 5, 5, 1), of_seeds=0.03),
    "5 seeds v 1, 2 recipes, 150 queries": Design(seeds=(5, 1), sizes=(150,), of_seeds=0.02),
    "3 seeds v 2, 43 queries": Design(seeds=(3, 3, 3, 3, 3, 2), of_seeds=0.03),
    "prefix ρ .5, 2 seeds, 43 queries": Design(of_seeds=0.03, shared=0.5),
    "prefix ρ .9, 2 seeds, 43 queries": Design(of_seeds=0.05, shared=0.9),
    "prefix ρ .9, 2 seeds, 7,000 queries": Design(of_seeds=0.02, shared=0.9, sizes=(7000,)),
    "prefix ρ .5, 3 seeds v 2, 150 queries": Design(
        seeds=(3, 3, 3, 3, 3, 2), sizes=(150,), of_seeds=0.03, shared=0.5
    ),
    "prefix ρ .9, 3 seeds, 150 queries": Design(seeds=(3,) * 6, sizes=(150,), of_seeds=0.03, shared=0.9),
    "nine in ten tied, 2 seeds, 150 queries": Design(
        sizes=(150,), shape="tied", of_interaction=0.0, of_seeds=0.0
    ),
    "variances differ eightfold, 2 seeds, 7,000 queries": Design(sizes=(7000,), of_seeds=0.005, uneven=8.0),
    "variances differ eightfold, 3 seeds, 43 queries": Design(seeds=(3,) * 6, of_seeds=0.02, uneven=8.0),
    "variances differ eightfold, 5 seeds, 150 queries": Design(
        seeds=(5,) * 6, sizes=(150,), of_seeds=0.02, uneven=8.0
    ),
    "rare large gains, 1 seed, 21 queries": Design(
        seeds=(1, 1), sizes=(21,), shape="rare", of_seeds=0.0, of_interaction=0.0
    ),
    "rare large gains, 1 seed, 43 queries": Design(
        seeds=(1, 1), sizes=(43,), shape="rare", of_seeds=0.0, of_interaction=0.0
    ),
    "rare large gains, 3 seeds, 43 queries": Design(seeds=(3, 3), sizes=(43,), shape="rare", of_seeds=0.01),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--only", default="", help="Designs whose names hold this.")
    parser.add_argument("--limits", action="store_true", help="Only the highest error of two recipes, by limit.")
    parser.add_argument(
        "--equal-error", action="store_true", help="Only two recipes: power of both rules at one error."
    )
    options = parser.parse_args()
    if options.limits:
        print_limits()
        return
    if options.equal_error:
        print_equal_error(options.replications)
        return
    print(
        "| design | error ▲ | error △ | any claim | any pair | any mark | partly | covers | power | by Holm "
        "| old: error | any claim | any pair | any mark | power |"
    )
    print("|---|" + "---:|" * 14)
    for name, design in DESIGNS.items():
        if options.only in name:
            cells = " | ".join(
                "—" if np.isnan(value) else f"{value:.3f}" for value in rates(design, options.replications)
            )
            print(f"| {name} | {cells} |", flush=True)


def print_limits(draws: int = 200_000) -> None:
    """Of two recipes: the highest error of ▲ over all shares that seeds can have in the variance, and the power.

    The rule's t-test alone, in units of its standard error: queries bring a χ² of 6,999 degrees of freedom, seeds one
    of 2 (n − 1). `CAUTION` is the limit's confidence; "as estimated" is Satterthwaite's rule as it stands.
    """
    random = np.random.default_rng(0)
    shares = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
    print("| seeds | limit | highest error | power at a seeds' share of .1 | .3 | .5 | .8 |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for seeds in (2, 3):
        df_queries, df = 6999, 2 * (seeds - 1)
        for limit in (None, 0.6, 0.7, 0.8):
            error, power = {}, {}
            for share in shares:
                shift = random.normal(0, 1, draws)
                of_queries = (1 - share) * random.chisquare(df_queries, draws) / df_queries
                of_seeds = share * random.chisquare(df, draws) / df
                known = of_seeds * (df / special.chdtri(df, limit) if limit else 1.0)
                degrees = (of_queries + known) ** 2 / (of_queries**2 / df_queries + known**2 / df)
                critical = special.stdtrit(degrees, 1 - LEVEL / 2) * np.sqrt(of_queries + of_seeds)
                error[share], power[share] = (np.abs(shift) > critical).mean(), (shift + 3.5 > critical).mean()
            found = " | ".join(f"{power[share]:.3f}" for share in (0.1, 0.3, 0.5, 0.8))
            print(f"| {seeds} | {limit or 'as estimated'} | {max(error.values()):.4f} | {found} |", flush=True)


def print_equal_error(replications: int) -> None:
    """Of two recipes with as many seeds each: error and power of both rules at .05, and the power of each at that level
    of its own at which it errs in .05 of these studies. Both have one t statistic here; only what they hold it against
    differs."""
    print("| design | error at .05 | old | power at .05 | old | power at an error of .05 | old |")
    print("|---|" + "---:|" * 6)
    for name, design in DESIGNS.items():
        one_statistic = len(design.seeds) == 2 and design.seeds[0] == design.seeds[1] > 1 and design.backbones == 1
        if one_statistic and design.shape == "normal":
            null, moved = _found(design, replications)
            cells = [(null[rule] <= LEVEL).mean() for rule in ("p", "old p")]
            for level in ((LEVEL, LEVEL), [np.quantile(null[rule], LEVEL) for rule in ("p", "old p")]):
                cells += [
                    ((moved[rule] <= at) & (moved["sign"] > 0)).mean()
                    for rule, at in zip(("p", "old p"), level, strict=True)
                ]
            print(f"| {name} | {' | '.join(f'{value:.3f}' for value in cells)} |", flush=True)


def rates(design: Design, replications: int) -> list[float]:
    """The numbers of a row, in the order of its columns."""
    found, moved = _found(design, replications)
    truths = [(b - a) for a, b in combinations(_better(design), 2)]
    true, false = np.array(truths) != 0, np.array(truths) == 0
    known = found["known"].all()
    return [
        found["single"].mean() if known else np.nan,
        found["models"].mean(),
        found["claims"].any(1).mean() if known else np.nan,
        found["pairs"].any(1).mean() if known else np.nan,
        found["marks"].any(1).mean() if known else np.nan,
        moved["claims"][:, false].any(1).mean() if known and false.any() else np.nan,
        found["covers"].mean() if known else np.nan,
        (moved["claims"] & (moved["sign"] > 0))[:, true].mean() if known else np.nan,
        (moved["holm"] & (moved["sign"] > 0))[:, true].mean() if known else np.nan,
        found["old single"].mean(),
        found["old claims"].any(1).mean(),
        found["old pairs"].any(1).mean(),
        found["old marks"].any(1).mean(),
        (moved["old claims"] & (moved["sign"] > 0))[:, true].mean(),
    ]


def _better(design: Design) -> list[float]:
    """What each recipe is better by, where half of them are."""
    recipes = len(design.seeds)
    return [3.5 * design.spread() * (r >= (recipes + 1) // 2) for r in range(recipes)]


def _found(design: Design, replications: int) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """What `judge` says of studies of equal recipes, and of those of which half are better."""
    random = np.random.default_rng(1)
    null = list(_batches(design, random, replications, [0.0] * len(design.seeds)))
    shifted = list(_batches(design, random, replications, _better(design)))
    first, second = (
        {name: np.concatenate([each[name] for each in some]) for name in some[0]} for some in (null, shifted)
    )
    return first, second


def _batches(
    design: Design, random: Generator, replications: int, shifts: Sequence[float]
) -> Iterator[dict[str, NDArray[Any]]]:
    each = (len(design.labels) + 1) * sum(design.sizes)
    size = max(1, ELEMENTS // each)
    for start in range(0, replications, size):
        yield judge(design, *design.draw(random, min(size, replications - start), shifts))


def judge(design: Design, values: Sequence[Floats], worth: Floats) -> dict[str, NDArray[Any]]:
    """What both rules say of drawn studies: [replications, hypotheses] each."""
    layout, moments = design.layout, Moments.of(values)
    couples = list(combinations(range(len(design.seeds)), 2))
    claims = np.stack([_mean(design, b) - _mean(design, a) for a, b in couples])
    over = over_queries_and_seeds(moments, layout, claims).estimates
    models = over_queries(moments, claims)
    # These models differ by what their seeds brought: that is the truth which △ is to be wrong about.
    models = Estimates(models.difference - worth @ claims.T, models.error, models.df)
    half = over.error * _critical(over)
    old = _old(moments, layout, claims[:1], values).p
    found: dict[str, NDArray[Any]] = {
        "known": over.df > 0,
        "p": over.p,
        "old p": old,
        "single": over.p <= LEVEL,
        "models": models.p <= LEVEL,
        "covers": np.abs(over.difference) <= half,
        "sign": np.sign(over.difference),
        "claims": corrected(over, len(design.seeds)),
        "holm": _holm([over]),
        "old single": old <= LEVEL,
        "old claims": _holm(_old_claims(design, moments, layout, couples, values)),
    }
    alone = [
        Moments((size,), moments.means[:, [c]], moments.covariances[:, [c]]) for c, size in enumerate(design.sizes)
    ]
    pairs = np.stack(
        [_mean(design, b, [k]) - _mean(design, a, [k]) for k in range(design.backbones) for a, b in couples]
    )
    first = np.zeros(len(layout.recipes))
    first[-1] = 1
    marks = np.stack([_mean(design, r, [k]) - first for k in range(design.backbones) for r in range(len(design.seeds))])
    answers = [over_queries_and_seeds(one, layout, pairs).estimates for one in alone]
    found["pairs"] = corrected(_joined(answers), len(design.seeds), len(alone) * design.backbones)
    found["marks"] = _holm([_joined([over_queries_and_seeds(one, layout, marks).estimates for one in alone])])
    # The old rule corrected the pairs of each collection, all backbones together, and the marks of all collections.
    found["old pairs"] = np.concatenate(
        [_holm([_old(one, layout, pairs, [each])]) for one, each in zip(alone, values, strict=True)], axis=1
    )
    found["old marks"] = _holm([_joined([_old(m, layout, marks, [v]) for m, v in zip(alone, values, strict=True)])])
    return found


def corrected(estimates: Estimates, means: int, families: int = 1) -> NDArray[np.bool_]:
    """Which hypotheses [replications, hypotheses] the report's correction rejects."""
    p = estimates.p
    found = np.zeros(p.shape, dtype=bool)
    # What is not below the level alone is not below it corrected: 1 spares the integral.
    p = np.where(p <= LEVEL, p, 1.0)
    for row in np.flatnonzero((p <= LEVEL).any(1)):
        found[row] = np.array(tukey_holm(p[row].tolist(), estimates.df[row].tolist(), means, families)) <= LEVEL
    return found


def _critical(estimates: Estimates) -> Floats:
    return np.asarray(special.stdtrit(np.maximum(estimates.df, 1e-9), 0.975))


def _mean(design: Design, recipe: int, backbones: Sequence[int] | None = None) -> Floats:
    """Weights of the mean over backbones (by default all) of a recipe's means over its seeds."""
    some = range(design.backbones) if backbones is None else backbones
    return np.array([(r == recipe) * (b in some) / design.seeds[r] / len(some) for b, r, _ in design.labels] + [0.0])


def _joined(estimates: Sequence[Estimates]) -> Estimates:
    return Estimates(*(np.concatenate([getattr(e, f) for e in estimates], 1) for f in ("difference", "error", "df")))


def _holm(families: Sequence[Estimates]) -> NDArray[np.bool_]:
    p = np.concatenate([one.p for one in families], axis=1)
    found = np.zeros(p.shape, dtype=bool)
    for row in np.flatnonzero((p <= LEVEL).any(1)):
        found[row] = np.array(holm(p[row].tolist())) <= LEVEL
    return found


def _old_claims(
    design: Design, moments: Moments, layout: Layout, couples: Sequence[tuple[int, int]], values: Sequence[Floats]
) -> list[Estimates]:
    """The old rule over backbones: seed k of one is averaged with seed k of another, down to the fewest seeds."""
    if design.backbones == 1:
        weights = np.stack([_mean(design, b) - _mean(design, a) for a, b in couples])
        return [_old(moments, layout, weights, values)]
    seeds, recipes = min(design.seeds), len(design.seeds)
    averaged = []
    for each in values:
        parts = [
            np.mean([each[:, design.labels.index((b, r, s))] for b in range(design.backbones)], axis=0)
            for r in range(recipes) for s in range(seeds)
        ]  # fmt: skip
        averaged.append(np.stack([*parts, each[:, -1]], axis=1))
    single = Design(seeds=(seeds,) * recipes, sizes=design.sizes)
    return _old_claims(single, Moments.of(averaged), single.layout, couples, averaged)


def _old(moments: Moments, layout: Layout, weights: Floats, values: Sequence[Floats]) -> Estimates:
    """The rule until November 2026: each comparison's own seeds alone; of one seed, none; no prefixes.

    Where no side had several seeds it took the randomisation test; the t-test stands for it where there are more than
    50 queries, of which it differs by less than the simulation's error.
    """
    found = []
    for weight in weights:
        sides = [np.flatnonzero(weight > 0), np.flatnonzero(weight < 0)]
        parts = query_parts(moments, weight[None])
        of_queries = sum(part.variance for part in parts)
        spread = sum(part.variance**2 / part.df for part in parts)
        variance, fewest = of_queries, spread * 0 + min(part.df.min() for part in parts)
        for places in sides:
            count = len(places)
            if count < 2:
                continue
            projection = np.eye(count) - 1 / count
            means = moments.means[..., places].mean(-2)
            of_seeds = np.einsum("...n,nm,...m->...", means, projection, means) / (count - 1) / count
            interaction = sum(
                np.einsum("nm,...mn->...", projection, moments.covariances[..., c, places[:, None], places])
                / (count - 1) / count / size
                for c, size in enumerate(moments.sizes)
            ) / len(moments.sizes) ** 2  # fmt: skip
            variance = variance + np.maximum(0, of_seeds - interaction)[..., None]
            spread = spread + (of_seeds**2 / (count - 1))[..., None]
            fewest = np.minimum(fewest, count - 1)
        several = max(map(len, sides)) > 1
        df = np.maximum(fewest, variance**2 / np.maximum(spread, 1e-300)) if several else fewest
        one = Estimates(mean_differences(moments, weight[None]), np.sqrt(variance), df)
        if not several and sum(moments.sizes) <= 50:
            drawn = np.concatenate([np.einsum("n,rnq->rq", weight, each) for each in values], axis=1)
            one = _Randomised(one, np.array([randomisation_tests(d[None], 1000, n)[0] for n, d in enumerate(drawn)]))
        found.append(one)
    return _Joined(found)


class _Randomised:
    """An estimate whose p-value is the randomisation test's."""

    def __init__(self, estimates: Estimates, p: Floats):
        self.difference, self.error, self.df, self.p = estimates.difference, estimates.error, estimates.df, p[:, None]


class _Joined:
    def __init__(self, estimates: Sequence[Estimates | _Randomised]):
        for name in ("difference", "error", "df", "p"):
            setattr(self, name, np.concatenate([getattr(one, name) for one in estimates], axis=1))


if __name__ == "__main__":
    main()
