"""What a study says of its recipes, a sentence for each two of them."""

from dataclasses import dataclass

from limbeck.report.formats import enumerate_words, number, p_is, plural, signed
from limbeck.report.phrases import test_name
from limbeck.report.table import ALPHA, mark
from limbeck.study.analysis.comparisons import MeanDifference
from limbeck.study.analysis.results import StudyResults


@dataclass(frozen=True)
class Claim:
    """`sentence` is the claim, `caution` what keeps it from being one about the objective.

    `firm` is one that the data decide: a significant difference, or equivalence.
    """

    sentence: str
    caution: str
    firm: bool


def state_claims(results: StudyResults) -> list[Claim]:
    """Every two recipes over all backbones and collections: significant differences, equivalences, others; by size."""
    margin = results.margin
    rows = sorted(
        results.over_backbones,
        key=lambda row: (not _significant(row), not _equivalent(row), -abs(row.difference)),
    )
    return [Claim(_sentence(row, margin), _caution(row), _significant(row) or _equivalent(row)) for row in rows]


def claims_note(results: StudyResults) -> str:
    """What the numbers in the claims are."""
    rows = results.over_backbones
    names = [collection.name for collection in results.collections]
    where = f"on {names[0]}" if len(names) == 1 else f"over {plural(len(names), 'collection')}"
    note = (
        f"Mean differences {where}, averaged over backbones; in brackets the 95 % interval over queries and seeds; "
        f"{test_name(results)}, Holm-corrected over {plural(len(rows), 'pair')}. "
    )
    if margin := results.margin:
        note += (
            f"Equivalent: two one-sided t-tests that the difference is within ±{margin:g}, corrected alike; the margin "
            "is the study file's. "
        )
    return f"{note}What would show is found with a power of 0.8. Backbones and collections are those at hand."


def _significant(row: MeanDifference) -> bool:
    return bool(mark(row.difference, row.decisive_p))


def _equivalent(row: MeanDifference) -> bool:
    p = row.corrected_equivalence_p
    return p is not None and p < ALPHA


def _sentence(row: MeanDifference, margin: float | None) -> str:
    backbones = row.backbones
    turn = row.difference < 0
    better, other = (row.b, row.a) if turn else (row.a, row.b)
    low, high = sorted(-end if turn else end for end in row.ci)
    ahead = len(row.behind if turn else row.ahead)
    numbers = f"{signed(abs(row.difference))} [{signed(low)}, {signed(high)}] {row.measure}, {p_is(row.decisive_p)}"
    if row.collections_ci:
        ends = sorted(-end if turn else end for end in row.collections_ci)
        numbers += f"; [{signed(ends[0])}, {signed(ends[1])}] over collections too"
    count = f"{ahead} of {plural(len(backbones), 'backbone')}" if len(backbones) > 1 else backbones[0]
    within = f"within ±{margin:g}, {p_is(row.corrected_equivalence_p)}" if _equivalent(row) else ""
    if _significant(row):
        return f"{better} beats {other} on {count}, {numbers}{f'; yet {within}' if within else ''}."
    lead = f"{better} is ahead on {count}" if row.difference else "their means are equal"
    if within:
        return f"{better} and {other} are equivalent {within}: {lead}, {numbers}."
    return f"{better} and {other} cannot be told apart: {lead}, {numbers}{_would_show(row.detectable)}."


def _would_show(detectable: float | None) -> str:
    if detectable is None:
        return ""
    if detectable > 1:  # no two values of a measure differ by more
        return "; with so few seeds and queries no difference would show"
    return f"; {number(detectable)} or more would show"


def _caution(row: MeanDifference) -> str:
    if not row.differs:
        return ""
    return f"They differ also in {enumerate_words(row.differs)}."
