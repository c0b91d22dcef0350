"""Which systems are as good as the best one, within a margin; which one is the best is not taken from the data first.

A system is within a margin of the best where no other is better by the margin or more. So each system is tested against
every other one, and the largest of the p-values is that of the claim: an intersection-union test, in which the number
of the others needs no correction, and in which the highest mean, which chance has a part in, is given no privilege.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.evaluation.statistics.comparison import Interval
from limbeck.evaluation.statistics.multiple import LEVEL, holm
from limbeck.evaluation.statistics.seeds import over_queries_and_seeds
from limbeck.evaluation.statistics.student import Estimate, check_margin, noninferiority, over_queries, power
from limbeck.evaluation.statistics.trainings import Trainings


@dataclass(frozen=True, kw_only=True)
class WithinMargin:
    """The answer to one question (these models, these recipes) about a system.

    Attributes:
        p: of the claim that no other system is better by the margin or more, not corrected.
        corrected_p: over all systems that have an answer.
        interval: 95 % t interval of the system's mean less the highest mean; None of the highest itself.
        power: chance that the claim is shown of a system that is just as good as the one of the highest mean, at the
            level of the correction's first step; None of that one itself.
    """

    p: float
    corrected_p: float
    interval: Interval | None
    power: float | None

    @property
    def shown(self) -> bool:
        return self.corrected_p < LEVEL


@dataclass(frozen=True, kw_only=True)
class NearBest:
    """A system, its mean and that less the highest mean, and whether it is within the margin of the best one.

    `models` and `recipes` are the answers to the two questions; None where nothing is known of the spread.
    """

    mean: float
    difference: float
    models: WithinMargin | None
    recipes: WithinMargin | None


def near_best(data: Trainings, systems: Sequence[tuple[str, str]], margin: float) -> list[NearBest]:
    """Of each system (recipe, backbone), in the order given, whether it is within a margin of the best; none of one.

    The p-values are corrected by Holm's procedure over the systems. At least one of its hypotheses is false, for
    nothing is better than the best system: so of n systems n − 1 are corrected for at first (Shaffer). A system whose
    mean is not within the margin of the highest is tested against that alone, which already refuses it.

    Raises:
        UsageError: the margin is not above 0.

    Source: Berger 1982, Multiparameter Hypothesis Testing and Acceptance Sampling (the intersection-union test); Hsu
    1984, Constrained Simultaneous Confidence Intervals for Multiple Comparisons with the Best; Shaffer 1986, Modified
    Sequentially Rejective Multiple Test Procedures.
    """
    check_margin(margin)
    if len(systems) < 2:
        return []
    of_system = np.stack([data.mean([system]) for system in systems])
    means = of_system @ data.moments.means.mean(0)
    top = int(means.argmax())
    others = [
        [other for other in range(len(systems)) if other != one] if means[one] > means[top] - margin else [top]
        for one in range(len(systems))
    ]
    weights = np.stack([of_system[one] - of_system[other] for one, row in enumerate(others) for other in row])
    estimates = {
        "models": list(over_queries(data.moments, weights)),
        "recipes": list(over_queries_and_seeds(data.moments, data.layout, weights).estimates),
    }
    ends = np.cumsum([len(row) for row in others])
    answers = {
        question: _answers(
            [found[end - len(row) : end] for end, row in zip(ends, others, strict=True)],
            [row.index(top) if top in row else None for row in others],
            margin,
        )
        for question, found in estimates.items()
    }
    return [
        NearBest(
            mean=float(means[one]),
            difference=float(means[one] - means[top]),
            models=answers["models"][one],
            recipes=answers["recipes"][one],
        )
        for one in range(len(systems))
    ]


def _answers(
    estimates: Sequence[Sequence[Estimate]], tops: Sequence[int | None], margin: float
) -> list[WithinMargin | None]:
    """Of each system from its `estimates` less others; `tops`: which of these is less the highest mean."""
    known = [all(one.df > 0 for one in of_system) for of_system in estimates]
    p_values = [max(noninferiority(one, margin) for one in of_system) for of_system in estimates]
    most_true = len(estimates) - 1
    corrected = iter(holm([p for p, is_known in zip(p_values, known, strict=True) if is_known], most_true=most_true))
    level = LEVEL / min(most_true, sum(known)) if any(known) else LEVEL
    found: list[WithinMargin | None] = []
    for of_system, top, p, is_known in zip(estimates, tops, p_values, known, strict=True):
        if not is_known:
            found.append(None)
            continue
        to_top = None if top is None else of_system[top]
        found.append(
            WithinMargin(
                p=p,
                corrected_p=next(corrected),
                interval=None if to_top is None else to_top.interval(),
                # A one-sided test at a level is one half of a two-sided one at twice that level.
                power=None if to_top is None else power(to_top, margin, 2 * level),
            )
        )
    return found
