"""How small a difference an experiment of this size could have found."""

from functools import lru_cache

from scipy import optimize, special

from limbeck.core.errors import UsageError
from limbeck.evaluation.statistics.multiple import LEVEL
from limbeck.evaluation.statistics.student import Estimate

POWER = 0.8


def power(known: Estimate, difference: float, level: float = LEVEL) -> float:
    """Chance that a two-sided t-test at `level` finds a true `difference`, with the error and df at hand.

    Only a finding in the right direction counts: one in the other is an error (of type III; Urbano, Lima and Hanjalic
    2019, Statistical Significance Testing in Information Retrieval, SIGIR).

    Meant for a difference that was chosen beforehand. The power at the difference that was observed says nothing that
    its p-value did not (Hoenig and Heisey 2001, The Abuse of Power). 0 where nothing is known about spread.

    Source: Sakai 2018, Laboratory Experiments in Information Retrieval (power by the non-central t).
    """
    _check(level)
    if known.df == 0 or difference == 0:
        return 0.0
    return _power(abs(difference) / known.error, known.df, level) if known.error else 1.0


def minimum_detectable_difference(known: Estimate, level: float = LEVEL, wanted: float = POWER) -> float | None:
    """The smallest true difference that is found with power `wanted`: a smaller one may well have been missed.

    With an `Estimate` over queries and seeds it is that of the numbers of both. None where nothing is known about
    spread; 0 where there is none.
    """
    _check(level)
    if not level < wanted < 1:
        raise UsageError(f"a power of {wanted}; expected more than the level, {level}, and less than 1")
    return _detectable(known.df, level, wanted) * known.error if known.df else None


@lru_cache(maxsize=4096)
def _detectable(df: float, level: float, wanted: float) -> float:
    """In standard errors."""
    high = 4.0
    while _power(high, df, level) < wanted:
        high *= 2
    return float(optimize.brentq(lambda shift: _power(shift, df, level) - wanted, 0.0, high, xtol=1e-6))


def _power(shift: float, df: float, level: float) -> float:
    critical = special.stdtrit(df, 1 - level / 2)
    # Far out, where scipy's non-central t fails, the chi-squared denominator alone decides.
    if shift > 1000:
        return float(special.chdtr(df, df * (shift / critical) ** 2))
    return float(1 - special.nctdtr(df, shift, critical))


def _check(level: float) -> None:
    if not 0 < level < 1:
        raise UsageError(f"a level of {level}; expected a number between 0 and 1")
