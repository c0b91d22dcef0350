"""What a study found, in words that follow from its numbers alone: the headline, and a claim for each two recipes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limbeck.core.errors import enumerate_words, plural
from limbeck.evaluation import Corrected
from limbeck.report.audit import leak_cautions
from limbeck.report.formats import ABSENT, interval, number, p_is, p_value, signed
from limbeck.report.phrases import MODELS_TEST, RECIPES_TEST, carried, would_show
from limbeck.report.table import Entry, Row, Table
from limbeck.study.analysis.comparisons import MeanDifference
from limbeck.study.analysis.results import StudyResults

_NAMED_COLLECTIONS = 3


@dataclass(frozen=True)
class Finding:
    """One headline sentence and the sentences that qualify it."""

    headline: str
    details: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.headline, *self.details))


def state_finding(results: StudyResults, table: Table) -> Finding:
    """The finding on the primary measure. What is not shown is called so, never nothing."""
    entries = [
        (row, column, entry)
        for row in table.of_kind("recipe")
        for column in table.columns
        if (entry := row.entry(column, table.measures[0])).corrected_p is not None
    ]
    details = [
        *leak_cautions(results),
        *_cautions(results),
        *_scope(results, table),
        *_highest(table),
        *_teachers(table),
        *_pairs(results),
    ]
    return Finding(_headline(entries, table), tuple(details))


def _headline(entries: Sequence[tuple[Row, str, Entry]], table: Table) -> str:
    stage = table.rows[0].recipe
    if not entries:
        return f"There is no finding yet: no recipe could be compared with the first stage ({stage})."
    counts = Counter[str](entry.mark for _, _, entry in entries)
    total = plural(len(entries), "comparison")
    if not counts["▲"] and not counts["△"]:
        below = counts["▼"] + counts["▽"]
        if below:
            are = "is" if below == 1 else "are"
            return (
                f"Nothing is shown to be above the first stage ({stage}): of {total} {below} {are} below it "
                f"({_signs(counts)})."
            )
        row, column, entry = max(entries, key=lambda each: abs(each[2].difference or 0.0))
        return (
            f"No difference to the first stage ({stage}) is shown in {total}; the largest is "
            f"{signed(entry.difference)} ({row.label} on {column}, 95 % interval {interval(entry.low, entry.high)}, "
            f"corrected {p_is(entry.corrected_p)})."
        )
    everywhere = " on every collection" if len(table.columns) > 1 else ""
    only = len(table.of_kind("recipe")) == 1
    if counts["▲"] == len(entries):
        return f"{'The recipe beats' if only else 'Every recipe beats'} the first stage ({stage}){everywhere} (▲)."
    if counts["▲"] + counts["△"] == len(entries) and not counts["▲"]:
        who = "The model is" if only else "Every model is"
        return f"{who} above the first stage ({stage}){everywhere} (△); whether other seeds would be is not shown."
    named = {
        "▲": "recipe above, whatever the seed (▲)",
        "△": "above as a model, perhaps not as a recipe (△)",
        "▽": "below as a model, perhaps not as a recipe (▽)",
        "▼": "recipe below, whatever the seed (▼)",
        "": "not shown to differ",
    }
    parts = [f"{counts[sign]:,} {words}" for sign, words in named.items() if counts[sign]]
    parts = [part.replace("recipe", "recipes", 1) if counts[sign] > 1 and sign in "▲▼" and sign else part
             for sign, part in zip((sign for sign in named if counts[sign]), parts, strict=True)]  # fmt: skip
    return f"Of {total} with the first stage ({stage}): {enumerate_words(parts)}."


def _signs(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{counts[sign]} {sign}" for sign in "▼▽" if counts[sign])


def _scope(results: StudyResults, table: Table) -> list[str]:
    recipes = len({row.recipe for row in table.of_kind("recipe")})
    backbones = len({row.backbone for row in table.of_kind("recipe")})
    seeds = len({cell.seed for cell in results.cells})
    return [
        f"{plural(recipes, 'recipe')} on {plural(backbones, 'backbone')}, {plural(seeds, 'seed')} each, re-ranked "
        f"the first {results.first_stage.depth} candidates on {plural(len(table.collections), 'test collection')}; "
        f"the measure is {table.measures[0]}."
    ]


def _highest(table: Table) -> list[str]:
    tops: dict[str, list[str]] = {}
    for collection in table.collections:
        rows = [row for row in table.of_kind("recipe") if row.entry(collection, table.measures[0]).complete]
        if rows:
            top = max(rows, key=lambda row: row.entry(collection, table.measures[0]).mean or 0.0)
            tops.setdefault(top.label, []).append(_top(collection, top.entry(collection, table.measures[0])))
    count = sum(map(len, tops.values()))
    if count > _NAMED_COLLECTIONS:
        name, times = max(((name, len(where)) for name, where in tops.items()), key=lambda pair: pair[1])
        return [f"{name} has the highest mean on {times} of {count} collections."]
    return [f"{name} has the highest mean: {'; '.join(where)}." for name, where in tops.items()]


def _top(collection: str, entry: Entry) -> str:
    text = f"{number(entry.mean)} on {collection}"
    if entry.difference is None:
        return text
    shown = f", {entry.mark}" if entry.mark else ", not shown"
    return (
        f"{text} ({signed(entry.difference)} to the first stage, 95 % interval {interval(entry.low, entry.high)}, "
        f"corrected {p_is(entry.corrected_p)}{shown})"
    )


def _teachers(table: Table) -> list[str]:
    sentences = []
    for row in table.of_kind("teacher"):
        values = [(name, number(row.entry(name, table.measures[0]).mean)) for name in table.collections]
        known = [f"{value} on {name}" for name, value in values if value != ABSENT]
        if 0 < len(known) <= _NAMED_COLLECTIONS:
            sentences.append(f"The teacher {row.recipe}, re-ranking the same candidates, reaches {'; '.join(known)}.")
    return sentences


def _pairs(results: StudyResults) -> list[str]:
    pairs = results.pairwise
    if not pairs:
        return []
    apart = [pair for pair in pairs if pair.mark]
    recipes = sum(pair.mark in ("▲", "▼") for pair in apart)
    models = len(apart) - recipes
    where = "" if len(results.collections) == 1 else " (each pair on each collection)"
    if not apart and len(pairs) == 1:
        return ["That the two recipes differ is not shown."]
    if not apart:
        return [f"Among {plural(len(pairs), 'pair')} of recipes{where}, no difference is shown."]
    parts = [f"{recipes:,} {'differs' if recipes == 1 else 'differ'} whatever the seed (▲)"] if recipes else []
    parts += (
        [f"{models:,} {'differs' if models == 1 else 'differ'} as models, perhaps not as recipes (△)"] if models else []
    )
    sentence = f"Among {plural(len(pairs), 'pair')} of recipes{where}, {enumerate_words(parts)}"
    confounded = sum(bool(pair.differs) for pair in apart)
    if not confounded:
        return [f"{sentence}, with nothing but the objective between them."]
    which = "it differs"
    if len(apart) > 1:
        which = f"{confounded:,} of these {'differs' if confounded == 1 else 'differ'}"
    return [f"{sentence}; {which} in more than the objective, which alone therefore does not explain the difference."]


def _cautions(results: StudyResults) -> list[str]:
    cells = results.cells
    done = sum(cell.state == "done" for cell in cells)
    cautions = []
    if done < len(cells):
        cautions.append(f"Incomplete: {done} of {plural(len(cells), 'cell')} finished.")
    if len({cell.seed for cell in cells}) == 1:
        cautions.append("With a single seed, only these models can be compared: of other seeds nothing is known.")
    return cautions


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


def _bracket(bounds: tuple[float, float], turn: bool) -> str:
    low, high = sorted(-end if turn else end for end in bounds)
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
