"""What a study found, in words that follow from its numbers alone."""

from dataclasses import dataclass

from limbeck.report.formats import ABSENT, enumerate_words, interval, number, p_is, plural, signed
from limbeck.report.leaks import leak_cautions
from limbeck.report.phrases import test_name
from limbeck.report.table import ABOVE, ALPHA, BELOW, Entry, Table, mark
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
    """The finding on the primary measure. It says so when nothing beats the first stage."""
    entries = [
        entry
        for row in table.of_kind("recipe")
        for collection in table.collections
        if (entry := row.entry(collection, table.measures[0])).corrected_p is not None
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


def _headline(entries: list[Entry], table: Table) -> str:
    stage = table.rows[0].recipe
    if not entries:
        return f"There is no finding yet: no recipe could be compared with the first stage ({stage})."
    above = sum(entry.mark == ABOVE for entry in entries)
    below = sum(entry.mark == BELOW for entry in entries)
    total = plural(len(entries), "comparison")
    if above == below == 0:
        return f"Nothing beats the first stage ({stage}): no difference is significant in {total}, in either direction."
    if not above:
        return (
            f"Nothing beats the first stage ({stage}): of {total} none is significantly above it, "
            f"and {below} {'is' if below == 1 else 'are'} significantly below."
        )
    if above == len(entries):
        every = "The recipe" if len(table.of_kind("recipe")) == 1 else "Every recipe"
        everywhere = " on every collection" if len(table.collections) > 1 else ""
        return f"{every} is significantly above the first stage ({stage}){everywhere}."
    rest = len(entries) - above - below
    parts = [f"{above:,} {'is' if above == 1 else 'are'} significantly above"]
    parts += [f"{below:,} significantly below"] if below else []
    parts += [f"{rest:,} not significantly different"] if rest else []
    return f"Of {total} with the first stage ({stage}), {enumerate_words(parts)}."


def _scope(results: StudyResults, table: Table) -> list[str]:
    recipes = len({row.recipe for row in table.of_kind("recipe")})
    backbones = len({row.backbone for row in table.of_kind("recipe")})
    seeds = len({cell.seed for cell in results.cells})
    return [
        f"{plural(recipes, 'recipe')} on {plural(backbones, 'backbone')}, {plural(seeds, 'seed')} each, re-ranked "
        f"the first {results.first_stage.depth} candidates on {plural(len(table.collections), 'test collection')}; "
        f"the measure is {table.measures[0]}, the test is a {test_name(results)}, Holm-corrected (α = {ALPHA})."
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
    significant = "" if entry.mark else ", not significant"
    return (
        f"{text} ({signed(entry.difference)} to the first stage, 95 % interval {interval(entry.low, entry.high)}, "
        f"corrected {p_is(entry.corrected_p)}{significant})"
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
    apart = [pair for pair in pairs if mark(pair.difference, pair.decisive_p)]
    where = "" if len(results.collections) == 1 else " (each pair on each collection)"
    if not apart and len(pairs) == 1:
        return ["The two recipes do not differ significantly."]
    if not apart:
        return [f"Among {plural(len(pairs), 'pair')} of recipes{where}, no difference is significant."]
    sentence = (
        f"Among {plural(len(pairs), 'pair')} of recipes{where}, {len(apart):,} "
        f"{'differs' if len(apart) == 1 else 'differ'} significantly"
    )
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
        cautions.append("With a single seed, the variation between trainings is unknown.")
    return cautions
