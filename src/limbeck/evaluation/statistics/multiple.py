"""Corrections of one family of p-values for their number."""

from collections.abc import Callable, Sequence
from typing import Literal

from scipy import stats

from limbeck.core.errors import DataError

Correction = Literal["holm", "bh", "none"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given: bounds the chance of any false claim in the family.

    Source: Holm 1979, A Simple Sequentially Rejective Multiple Test Procedure.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    _check(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for position, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - position) * p_values[i]))
        corrected[i] = highest
    return corrected


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini's and Hochberg's step-up correction, in the order given: bounds the expected share of false claims.

    It holds for independent p-values and under positive dependence (Benjamini and Yekutieli 2001).

    Source: Benjamini and Hochberg 1995, Controlling the False Discovery Rate, Eq. 1.

    >>> [round(p, 3) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    _check(p_values)
    return [float(p) for p in stats.false_discovery_control(list(p_values))] if p_values else []


CORRECTIONS: dict[Correction, Callable[[Sequence[float]], list[float]]] = {
    "holm": holm,
    "bh": benjamini_hochberg,
    "none": list,
}
"""By the name that a user gives."""


def _check(p_values: Sequence[float]) -> None:
    if not all(0 <= p <= 1 for p in p_values):
        raise DataError(f"{list(p_values)} are not all p-values; expected numbers from 0 to 1")
