"""What a study found, in words that follow from its numbers alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limbeck.report.formats import ABSENT, enumerate_words, interval, number, p_is, plural, signed
from limbeck.report.leaks import leak_cautions
from limbeck.report.table import Entry, Row, Table
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
