"""What a study says of its recipes, a sentence for each two of them."""

from dataclasses import dataclass

from limbeck.evaluation import Corrected
from limbeck.report.formats import enumerate_words, p_is, p_value, plural, signed
from limbeck.report.phrases import MODELS_TEST, RECIPES_TEST, carried, would_show
from limbeck.study.analysis.comparisons import MeanDifference
from limbeck.study.analysis.results import StudyResults


@dataclass(frozen=True)
class Claim:
    """`sentence` is the claim, `caution` what keeps it from being one about the objective, or from being sure.

    `firm` is one that the data decide: a difference of recipes or models, or equivalence.
    """

    sentence: str
    caution: str
    firm: bool


def state_claims(results: StudyResults) -> list[Claim]:
    """Every two recipes over all backbones and collections: differences of recipes, then of models, equivalences, and
    what is not shown; by size."""
    rank = {"▲": 0, "▼": 0, "△": 1, "▽": 1, "": 3}
    rows = sorted(
        results.over_backbones,
        key=lambda row: (rank[row.mark] if row.mark else 2 + (not _equivalent(row)), -abs(row.difference)),
    )
    return [Claim(_sentence(row, results.margin), _caution(row), bool(row.mark) or _equivalent(row)) for row in rows]


def claims_note(results: StudyResults) -> str:
    """What the numbers in the claims are."""
    rows = results.over_backbones
    names = [collection.name for collection in results.collections]
    where = f"on {names[0]}" if len(names) == 1 else f"over {plural(len(names), 'collection')}"
    known = any(row.recipes for row in rows)
    note = f"Mean differences {where}, averaged over backbones; the 95 % interval is that of the test whose p follows. "
    if known:
        note += f"▲ beats: these recipes, {RECIPES_TEST}. "
    note += (
        f"△ these models: {MODELS_TEST}. Each question's p-values are corrected over {plural(len(rows), 'pair')}, by "
        "Tukey's and Holm's bounds. "
    )
    if margin := results.margin:
        note += (
            f"Equivalent: two one-sided t-tests that the difference is within ±{margin:g}, corrected by Holm over the "
            "same pairs; the margin is the study file's. "
        )
    return f"{note}Not shown is not the same as none. Backbones and collections are those at hand."


def _equivalent(row: MeanDifference) -> bool:
    """As recipes; where nothing is known of these, as models."""
    answer = row.recipes or row.models
    return bool(answer and answer.equivalent)


def _sentence(row: MeanDifference, margin: float | None) -> str:
    turn = row.difference < 0
    better, other = (row.b, row.a) if turn else (row.a, row.b)
    count = len(row.backbones)
    where = f"on average over {plural(count, 'backbone')}" if count > 1 else f"on {row.backbones[0]}"
    ahead = len(row.behind if turn else row.ahead)
    on = f"; its mean is higher on {ahead} of {count}" if count > 1 and row.difference else ""
    amount = f"{signed(abs(row.difference))} {row.measure} {where}"
    if row.models is None:
        return f"{better} and {other} cannot be tested: {row.unknown}. Their means differ by {amount}."
    recipes, models = row.recipes, row.models
    nothing = f"of the recipes nothing is known: {row.unknown}"
    within = ""
    if _equivalent(row) and margin:
        within = f"within ±{margin:g} ({p_is((recipes or models).corrected_equivalence_p)})"
    if row.mark in ("▲", "▼") and recipes:
        wide = ""
        if row.collections_ci:
            wide = f"; over collections too {_bracket(row.collections_ci, turn)}"
        yet = f"; yet {within}" if within else ""
        return f"▲ {better} beats {other}: {amount} {_numbers(recipes, turn)}{wide}{on}{yet}."
    if within:
        lead = f"{better} is ahead by {amount}" if row.difference else "their means are equal"
        text = f"{lead} {_numbers(recipes or models, turn)}"
        differ = f"; these models do differ, {_numbers(models, turn)}" if row.mark else ""
        if recipes:
            return f"{better} and {other} are equivalent {within}: {text}{on}{differ}."
        return f"These models of {better} and {other} are equivalent {within}: {text}{on}{differ}; {nothing}."
    if row.mark:
        rest = (
            f"that the recipes do is not shown, {_numbers(recipes, turn)}{would_show(recipes)}" if recipes else nothing
        )
        return f"△ These models differ, {better} above {other}: {amount} {_numbers(models, turn)}{on}; {rest}."
    lead = f"{better} is ahead by {amount}" if row.difference else "their means are equal,"
    if recipes:
        return f"Not shown that {better} and {other} differ: {lead} {_numbers(recipes, turn)}{on}{would_show(recipes)}."
    text = f"Not shown that these models of {better} and {other} differ: {lead} {_numbers(models, turn)}{on}"
    return f"{text}{would_show(models)}; {nothing}."


def _numbers(answer: Corrected, turn: bool) -> str:
    """The interval and p-value of a test; the corrected one too where it is another."""
    corrected = p_value(answer.corrected_p)
    known = p_is(answer.p)
    text = known if corrected == p_value(answer.p) else f"{known}, corrected {p_is(answer.corrected_p)}"
    return f"{_bracket(answer.interval, turn)}, {text}" if answer.interval else text


def _bracket(interval: tuple[float, float], turn: bool) -> str:
    low, high = sorted(-end if turn else end for end in interval)
    return f"[{signed(low)}, {signed(high)}]"


def _caution(row: MeanDifference) -> str:
    found = []
    if row.differs:
        found.append(f"They differ also in {enumerate_words(row.differs)}.")
    if row.carried_by and row.mark:
        found.append(f"A few queries carry the difference: {carried(row.carried_by)}.")
    if row.uneven and row.recipes:
        found.append("Seeds of some recipes vary far more than those of others, so the test is less exact.")
    return " ".join(found)
