"""The analysis of factors in words: what variance is due to, the same in the terminal and on the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from limbeck.core.errors import enumerate_words
from limbeck.evaluation import FactorAnalysis
from limbeck.evaluation.statistics.factors import Effect, Ratio, Span
from limbeck.report.formats import ABSENT, interval, number, signed
from limbeck.study.analysis.factors import FactorsOfStudy, NoFactors

DIGITS = 4
"""Of effects, which are smaller than the differences between systems."""


@dataclass(frozen=True)
class Factors:
    """The analysis as text.

    Attributes:
        absent: why there is no analysis; else nothing.
        shares: (term, share, share without the collections' own, interval of the share, standard deviation, degrees of
            freedom).
        effects: (level, its effect, interval for these models, interval for these recipes), the highest of a factor
            first.
        sentences: factors against each other, their highest against their lowest levels, what the intervals are, notes.
    """

    absent: str
    shares: tuple[tuple[str, str, str, str, str, str], ...] = ()
    effects: tuple[tuple[str, str, str, str], ...] = ()
    sentences: tuple[str, ...] = ()


def state_factors(found: FactorsOfStudy | NoFactors) -> Factors:
    """A study's analysis as text, or why there is none."""
    return Factors(found.absent) if isinstance(found, NoFactors) else state_analysis(found)


def state_analysis(found: FactorAnalysis) -> Factors:
    """An analysis as text."""
    shares = tuple(
        (
            one.term,
            "cannot be told apart" if one.share is None else f"{one.share:.1%}",
            _percent(one.without_collection),
            ABSENT if one.interval is None else f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
            number(one.variance**0.5, DIGITS),
            f"{one.df}" if one.df == one.expected else f"{one.df} of {one.expected}",
        )
        for one in found.shares
    )
    factors = list(dict.fromkeys(one.factor for one in found.effects))
    effects = tuple(map(_effect, sorted(found.effects, key=lambda one: (factors.index(one.factor), -one.effect))))
    sentences = [*map(_ratio, found.ratios), *(_span(one) for one in found.spans), *_notes(found)]
    return Factors("", shares, effects, tuple(sentences))


def _effect(one: Effect) -> tuple[str, str, str, str]:
    models, recipes = (ABSENT if each is None else interval(*each, DIGITS) for each in (one.models, one.recipes))
    return f"{one.factor}: {one.level}", signed(one.effect, DIGITS), models, recipes


def _ratio(ratio: Ratio) -> str:
    """The two factors against each other: the paper's claim that one can be worth as much as the other."""
    if ratio.ratio is None:
        return f"The figures do not differ over {ratio.b}."
    bounds = "" if ratio.interval is None else f" [{number(ratio.interval[0], 2)}, {number(ratio.interval[1], 2)}]"
    return (
        f"The figures spread {number(ratio.ratio, 2)}{bounds} times as far over {ratio.a} as over {ratio.b} "
        "(standard deviations of effects)."
    )


def _span(span: Span) -> str:
    answers = [
        f"these {noun} {interval(*bounds, DIGITS)}{'' if bounds[0] > 0 or bounds[1] < 0 else ' (not shown)'}"
        for noun, bounds in (("models", span.models), ("recipes", span.recipes))
        if bounds is not None
    ]
    known = f": {', '.join(answers)}" if answers else ""
    return (
        f"{span.factor}, highest less lowest: {span.highest} − {span.lowest} {signed(span.difference, DIGITS)}{known}."
    )


def _notes(found: FactorAnalysis) -> Sequence[str]:
    notes = []
    if found.units and found.spans:
        notes.append(
            f"Intervals of differences are 95 %, of t-tests: these models, {found.units} drawn and the trainings being "
            f"those at hand; these recipes, {found.units} and seeds drawn, the variance of seeds pooled over the "
            "recipes of a backbone. Those of highest less lowest hold for all pairs of levels at once."
        )
    if found.drawn:
        notes.append(
            f"Intervals of shares and ratios: 95 %, bootstrap over {enumerate_words(found.drawn)}; they test nothing. "
            "The levels of factors are those at hand."
        )
    return [*notes, *(f"Note: {note}." for note in found.notes)]


def _percent(share: float | None) -> str:
    return ABSENT if share is None else f"{share:.1%}"
