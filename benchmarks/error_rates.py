"""How often the paired statistics are wrong, by simulation: false claims, missed coverage, missed differences.

    python benchmarks/error_rates.py

Values of two systems are drawn from query effects, seed effects of each system, and their interaction, on one or more
collections whose own differences vary too. Printed for each design: the share of true null hypotheses that each test
rejects at .05, the share of 95 % intervals that hold the truth, and the power at the detectable difference (.8).
"""

import argparse
import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from limbeck.evaluation import (
    Figures,
    Paired,
    analyse_factors,
    benjamini_hochberg,
    bootstrap_intervals,
    equivalence,
    holm,
    minimum_detectable_difference,
    over_queries,
    over_queries_and_seeds,
    randomisation_tests,
)

Generator = np.random.Generator


@dataclass(frozen=True)
class Design:
    """Standard deviations of the difference: over collections, over a system's seeds, over queries (within a seed)."""

    collections: int = 1
    queries: int = 50
    seeds: int = 1
    of_collections: float = 0.0
    of_seeds: float = 0.0
    of_queries: float = 0.2
    of_interaction: float = 0.1
    skewed: bool = False

    def draw(self, random: Generator, difference: float = 0.0) -> Paired:
        seed_effects = random.normal(0, self.of_seeds, (2, self.seeds, 1))
        a, b = [], []
        for _ in range(self.collections):
            shift = random.normal(0, self.of_collections) if self.of_collections else 0.0
            # A skewed difference: most queries a little worse, a few much better.
            effects = random.exponential(1, self.queries) - 1 if self.skewed else random.normal(0, 1, self.queries)
            own = random.normal(0, self.of_interaction, (2, self.seeds, self.queries)) + seed_effects
            a.append(difference + shift + effects * self.of_queries + own[0])
            b.append(own[1])
        return Paired(tuple(a), tuple(b))


DESIGNS = {
    "50 queries, 1 seed": Design(),
    "50 skewed queries, 1 seed": Design(skewed=True),
    "8 queries, 1 seed": Design(queries=8),
    "50 queries, 3 seeds without effect": Design(seeds=3),
    "50 queries, 2 seeds, sd .03": Design(seeds=2, of_seeds=0.03),
    "50 queries, 3 seeds, sd .03": Design(seeds=3, of_seeds=0.03),
    "50 queries, 5 seeds, sd .03": Design(seeds=5, of_seeds=0.03),
    "13 × 50 queries, 3 seeds, sd .01": Design(collections=13, seeds=3, of_seeds=0.01),
    "13 × 50 queries, 3 seeds, collections .03": Design(collections=13, seeds=3, of_seeds=0.01, of_collections=0.03),
    "5 × 50 queries, 3 seeds, collections .03": Design(collections=5, seeds=3, of_seeds=0.01, of_collections=0.03),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    print("| design | randomisation | t | t, seeds | bootstrap covers | t, seeds covers | with collections | power |")
    print("|---|---|---|---|---|---|---|---|")
    for name, design in DESIGNS.items():
        print(f"| {name} | {' | '.join(rates(design, options.draws, options.samples))} |", flush=True)
    families(options.draws)
    equivalences(options.draws)
    factors(options.draws // 2, options.samples)


def rates(design: Design, draws: int, samples: int) -> list[str]:
    random = np.random.default_rng(1)
    pairs = [design.draw(random) for _ in range(draws)]
    weighted = [np.concatenate([one / one.size / design.collections for one in each.differences]) for each in pairs]
    # Draws that share their signs would err together: each is tested with its own.
    randomised = np.array([randomisation_tests(one[None], samples, seed)[0] for seed, one in enumerate(weighted)])
    queries = np.array([over_queries(one).p for one in pairs])
    estimates = [over_queries_and_seeds(one) for one in pairs]
    seeds = np.array([one.p for one in estimates])
    found = [(randomised <= 0.05).mean(), (queries <= 0.05).mean(), (seeds <= 0.05).mean()]
    covers = [
        covered(pairs, samples, False),
        np.mean([one.interval()[0] <= 0 <= one.interval()[1] for one in estimates]),
    ]
    wide = covered(pairs, samples, True) if design.collections > 1 else math.nan
    shift = np.mean([minimum_detectable_difference(one) for one in estimates])
    again = [over_queries_and_seeds(design.draw(random, float(shift))) for _ in range(draws)]
    power = np.mean([one.p <= 0.05 and one.difference > 0 for one in again])
    return [f"{value:.3f}" for value in (*found, *covers, wide, power)]


def covered(pairs: list[Paired], samples: int, draw_collections: bool) -> float:
    hits = 0
    for seed, one in enumerate(pairs):
        low, high = bootstrap_intervals([one], samples, seed=seed, draw_collections=draw_collections)[0]
        hits += low <= 0 <= high
    return hits / len(pairs)


def families(draws: int) -> None:
    """Twenty comparisons, ten of them of equal systems."""
    random = np.random.default_rng(2)
    any_false, share_false = 0, 0.0
    for _ in range(draws):
        shifts = np.repeat([0.0, 0.1], 10)
        values = random.normal(shifts[:, None], 0.2, (20, 50))
        p = list(stats.ttest_1samp(values, 0, axis=1).pvalue)
        any_false += any(q <= 0.05 for q in holm(p)[:10])
        claimed = [q <= 0.05 for q in benjamini_hochberg(p)]
        share_false += sum(claimed[:10]) / max(1, sum(claimed))
    print(f"\nHolm, 10 of 20 true nulls: any false claim {any_false / draws:.3f} (at most .05)")
    print(f"Benjamini–Hochberg: share of false claims {share_false / draws:.3f} (at most .05 × 10/20 = .025)")


def equivalences(draws: int) -> None:
    """A difference exactly at the margin, and none."""
    random = np.random.default_rng(3)
    for difference in (0.05, 0.0):
        design = Design(seeds=3, of_seeds=0.005, of_queries=0.1)
        claims = sum(equivalence(over_queries_and_seeds(design.draw(random, difference)), 0.05) <= 0.05
                     for _ in range(draws))  # fmt: skip
        print(f"TOST at ±.05, true difference {difference}: claimed {claims / draws:.3f}")


def factors(draws: int, samples: int) -> None:
    """Four backbones × three objectives × three seeds, whose effects differ by collection."""
    backbones, objectives = np.array([-0.1, -0.02, 0.05, 0.07]), np.array([-0.06, 0.02, 0.04])
    configurations = np.array([(b, o) for b in range(4) for o in range(3)])
    names = (tuple("abcd"), tuple("xyz"))
    for collections in (5, 6, 13, 22):
        random = np.random.default_rng(4)
        hits = np.zeros(3)
        for _ in range(draws):
            of_backbone = backbones[:, None] + random.normal(0, 0.02, (4, collections))
            of_objective = objectives[:, None] + random.normal(0, 0.02, (3, collections))
            noise = random.normal(0, 0.01, (12, 3, 1)) + random.normal(0, 0.01, (12, 3, collections))
            means = random.normal(0, 0.1, collections)
            values = tuple(means + of_backbone[b] + of_objective[o] + e
                           for (b, o), e in zip(configurations, noise, strict=True))  # fmt: skip
            places = tuple(map(str, range(collections)))
            found = analyse_factors(Figures(("backbone", "objective"), names, configurations, places, values), samples)
            [ratio] = found.ratios
            truths = (
                (objectives.std() / backbones.std(), ratio.interval),
                (0.1, ratio.span_intervals[0]),
                (objectives[0], next(one.interval for one in found.effects if one.level == "x")),
            )
            hits += [low <= truth <= high for truth, (low, high) in truths]
        shown = ", ".join(
            f"{name} {hit:.3f}" for name, hit in zip(("ratio", "span", "effect"), hits / draws, strict=True)
        )
        print(f"Factors, {collections} collections, intervals cover: {shown}")


if __name__ == "__main__":
    main()
