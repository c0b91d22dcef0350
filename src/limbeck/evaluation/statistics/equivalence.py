"""Equivalence: the claim that a difference lies within a margin."""

import math

from numpy.typing import ArrayLike

from limbeck.core.errors import UsageError
from limbeck.evaluation.statistics.student import Estimate, above, estimate


def equivalence(known: Estimate, margin: float) -> float:
    """p-value of the claim that the difference lies within ±margin: two one-sided t-tests, the larger p.

    Below the level chosen, the two systems are equivalent to within `margin`, which is in the measure's own unit and
    must be chosen before looking. 1 where nothing is known about spread. UsageError unless the margin is above 0.

    Source: Schuirmann 1987, A Comparison of the Two One-Sided Tests Procedure and the Power Approach (TOST).
    """
    check_margin(margin)
    if known.df == 0:
        return 1.0
    return max(above(known.t(-margin), known.df), above(-known.t(margin), known.df))


def equivalence_p(differences: ArrayLike, margin: float) -> float:
    """`equivalence` of differences [queries] of one collection, over queries. 1 for a single query."""
    return equivalence(estimate(differences), margin)


def check_margin(margin: float) -> None:
    """UsageError unless the margin is a finite number above 0."""
    if not (math.isfinite(margin) and margin > 0):
        raise UsageError(f"the margin of equivalence is {margin}; expected a finite number above 0")
