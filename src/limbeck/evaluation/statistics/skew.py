"""Means that a few queries carry, which no paired test of a mean is proof against."""

from collections.abc import Sequence

import numpy as np

from limbeck.evaluation.statistics.trainings import Floats

SKEWED = 0.3
"""Skewness of a mean beyond which Edgeworth's first term alone makes a one-sided error of .025 one of .05."""
NAMED = 5
FEW = 0.05
"""The share of queries that are a few (one at least)."""


def carrying_queries(
    differences: Sequence[Floats], queries: Sequence[Sequence[str]], found: bool
) -> tuple[tuple[str, float], ...]:
    """The few queries that carry a mean difference, largest share first, with their differences; none where none do.

    A few carry it where the skewness of the mean is beyond 0.3, so that the t-test's error in the tail is no longer
    what it says; or, of a difference that was `found`, where without one in twenty queries its sign would be another.
    With rare large gains and no difference on average, such a test rejects up to .40 of true null hypotheses
    (benchmarks/error_rates.py), and so does a randomisation test.

    Args:
        differences: per collection [queries].
        queries: per collection, their ids.

    Source: Johnson 1978, Modified t Tests and Confidence Intervals for Asymmetrical Populations; Hall 1992, The
    Bootstrap and Edgeworth Expansion (P(t < −z) gains skewness × (2z² + 1) φ(z) / 6).
    """
    several = len(differences) > 1
    scales = [1 / len(one) / len(differences) for one in differences]
    centred = np.concatenate([(one - one.mean()) * scale for one, scale in zip(differences, scales, strict=True)])
    second, third = float((centred**2).sum()), float((centred**3).sum())
    if second <= 1e-24:
        return ()
    ids = [f"{query} ({place + 1})" if several else query for place, some in enumerate(queries) for query in some]
    values = np.concatenate(list(differences))
    shares = np.concatenate([one * scale for one, scale in zip(differences, scales, strict=True)])
    if abs(third) > SKEWED * second**1.5:
        weight = centred**3 * np.sign(third)
        goal = weight[weight > 0].sum() / 2
    else:
        few = max(1, int(FEW * len(values)))
        weight = shares * np.sign(shares.sum())
        goal = weight.sum()
        if not found or np.sort(weight)[::-1][:few].sum() < goal:
            return ()
    order = np.argsort(-weight, kind="stable")
    count = int(np.searchsorted(np.cumsum(weight[order]), goal)) + 1
    return tuple((ids[place], float(values[place])) for place in order[: min(count, NAMED)])
