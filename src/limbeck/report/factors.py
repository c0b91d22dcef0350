"""The analysis of factors in words: what the variance of a study's figures is due to."""

from collections.abc import Sequence
from dataclasses import dataclass

from limbeck.evaluation.statistics.factors import Ratio
from limbeck.report.formats import enumerate_words, number, signed
from limbeck.study.analysis.factors import FactorsOfStudy, NoFactors

Interval = Sequence[float] | None


@dataclass(frozen=True)
class Factors:
    """`absent` says why there is no analysis; else `shares` are (term, share, interval) and `sentences` the rest."""

    absent: str
    shares: tuple[tuple[str, str, str], ...] = ()
    sentences: tuple[str, ...] = ()


def state_factors(found: FactorsOfStudy | NoFactors) -> Factors:
    if isinstance(found, NoFactors):
        return Factors(found.absent)
    shares = tuple((one.term, _percent(one.share), _percents(one.interval)) for one in found.shares)
    sentences = [_ratio(one) for one in found.ratios]
    if found.drawn:
        drawn = enumerate_words(found.drawn)
        sentences.append(f"Intervals: 95 %, bootstrap over {drawn}; the levels of factors are those at hand.")
    return Factors("", shares, (*sentences, *(f"Note: {note}." for note in found.notes)))


def _ratio(ratio: Ratio) -> str:
    """The two factors against each other: the paper's claim that one can be worth as much as the other."""
    spans = [
        f"{name} {signed(span)}{_bracket(bounds)}"
        for name, span, bounds in zip((ratio.a, ratio.b), ratio.spans, ratio.span_intervals, strict=True)
    ]
    ends = f"highest less lowest: {enumerate_words(spans)}."
    if ratio.ratio is None:
        return f"The figures do not differ over {ratio.b}; {ends}"
    times = f"{number(ratio.ratio, 2)}{_bracket(ratio.interval, 2)}"
    return f"The figures spread {times} times as far over {ratio.a} as over {ratio.b}; {ends}"


def _bracket(bounds: Interval, digits: int = 3) -> str:
    return "" if bounds is None else f" [{number(bounds[0], digits)}, {number(bounds[1], digits)}]"


def _percent(share: float | None) -> str:
    return "cannot be told apart" if share is None else f"{share:.1%}"


def _percents(bounds: Interval) -> str:
    return "—" if bounds is None else f"{bounds[0]:.1%} to {bounds[1]:.1%}"
