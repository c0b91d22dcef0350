"""The table of a study: backbones × recipes per test collection and measure, beside first stage and teachers."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from limbeck.core.errors import enumerate_words, plural
from limbeck.evaluation import Mark
from limbeck.report.audit import sign, terms_notes
from limbeck.study.analysis.comparisons import FirstStageDifference
from limbeck.study.analysis.results import Cell, FirstStage, StudyResults, Teacher


@dataclass(frozen=True)
class Entry:
    """One value: the mean over the seeds that have one, and how it compares with the first stage.

    `seeds` holds every planned seed with its value, None where the cell has none. `std` is the sample standard
    deviation over seeds, None with fewer than two. `difference`, `low`, `high` and the p-value are those of
    the paired comparison with the first stage, of the question that the mark answers (`Difference.shown`). `detectable`
    is the smallest true difference that it would have found with power 0.8.
    """

    mean: float | None = None
    std: float | None = None
    seeds: tuple[tuple[int, float | None], ...] = ()
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    corrected_p: float | None = None
    detectable: float | None = None
    wins: int | None = None
    ties: int | None = None
    losses: int | None = None
    mark: Mark = ""
    best: bool = False

    @property
    def absent(self) -> tuple[int, ...]:
        """The planned seeds without a value."""
        return tuple(seed for seed, value in self.seeds if value is None)

    @property
    def complete(self) -> bool:
        return self.mean is not None and not self.absent

    @property
    def seed_note(self) -> str:
        """`2 of 3 seeds` where the mean is not over all of them, else nothing."""
        if not self.absent:
            return ""
        return f"{len(self.seeds) - len(self.absent)} of {plural(len(self.seeds), 'seed')}"


@dataclass(frozen=True)
class Row:
    """A first stage, a teacher that re-ranks the same candidates, or a recipe on a backbone.

    `terms` is the sign of what a recipe was trained on; see `limbeck.report.audit`.
    """

    kind: Literal["first stage", "teacher", "recipe"]
    backbone: str
    recipe: str
    entries: Mapping[tuple[str, str], Entry]
    terms: str = ""

    def entry(self, collection: str, measure: str) -> Entry:
        return self.entries.get((collection, measure), Entry())

    @property
    def signed_recipe(self) -> str:
        """The recipe with the sign of its terms."""
        return f"{self.recipe}{self.terms}"

    @property
    def label(self) -> str:
        return f"{self.recipe} · {self.backbone}" if self.backbone else self.recipe


@dataclass(frozen=True)
class Table:
    """Rows in reading order. `measures[0]` is the primary measure; `suites` are those tested whole."""

    suites: tuple[str, ...]
    collections: tuple[str, ...]
    measures: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Suites, then collections."""
        return (*self.suites, *self.collections)

    def of_kind(self, kind: str) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.kind == kind)


def build_table(results: StudyResults) -> Table:
    """The table of a study's results. What has no value stays in it, as an entry without one."""
    collections = tuple(collection.name for collection in results.collections)
    suites = tuple(results.first_stage.suites)
    columns = [(name, measure) for name in (*suites, *collections) for measure in results.measures]
    rows = [
        _given_row("first stage", results.first_stage, columns),
        *(_given_row("teacher", teacher, columns) for teacher in results.teachers),
    ]
    compared = {
        (c.backbone, c.recipe, c.collection, c.measure): c for c in (*results.comparisons, *results.suite_comparisons)
    }
    cells: dict[tuple[str, str], list[Cell]] = {
        (backbone.name, recipe.name): [] for backbone in results.backbones for recipe in results.recipes
    }
    for cell in results.cells:
        cells.setdefault((cell.backbone, cell.recipe), []).append(cell)
    recipe_rows = [
        Row(
            "recipe",
            backbone,
            recipe,
            {column: _entry(seeds, compared.get((backbone, recipe, *column)), column) for column in columns},
            sign(results, backbone, recipe),
        )
        for (backbone, recipe), seeds in cells.items()
        if seeds
    ]
    rows += _with_best(recipe_rows, columns)
    return Table(suites, collections, results.measures, tuple(rows), (*_notes(cells), *terms_notes(results)))


def finite(value: float | None) -> float | None:
    """`value`, or None where it is no finite number."""
    return value if value is not None and math.isfinite(value) else None


def value_of(cell: Cell, collection: str, measure: str) -> float | None:
    """A cell's value on a collection or suite, None where the cell did not finish or lacks it."""
    return measured(cell, collection, measure) if cell.state == "done" else None


def measured(given: FirstStage | Teacher | Cell, name: str, measure: str) -> float | None:
    """The mean on a collection or suite, None where there is none."""
    suites = {} if isinstance(given, Teacher) else given.suites
    return finite((given.values.get(name) or suites.get(name) or {}).get(measure))


def _given_row(
    kind: Literal["first stage", "teacher"], given: FirstStage | Teacher, columns: list[tuple[str, str]]
) -> Row:
    return Row(kind, "", given.name, {column: Entry(measured(given, *column)) for column in columns})


def _entry(cells: Sequence[Cell], comparison: FirstStageDifference | None, column: tuple[str, str]) -> Entry:
    seeds = tuple((cell.seed, value_of(cell, *column)) for cell in sorted(cells, key=lambda cell: cell.seed))
    present = [value for _, value in seeds if value is not None]
    if comparison is None:
        return Entry(
            mean=statistics.fmean(present) if present else None,
            std=statistics.stdev(present) if len(present) > 1 else None,
            seeds=seeds,
        )
    shown = comparison.shown
    low, high = (shown and shown.interval) or (None, None)
    return Entry(
        mean=finite(comparison.mean),
        std=finite(comparison.std) if len(present) > 1 else None,
        seeds=seeds,
        difference=finite(comparison.difference),
        low=finite(low),
        high=finite(high),
        corrected_p=finite(shown.corrected_p) if shown else None,
        detectable=finite(shown.detectable) if shown else None,
        wins=comparison.wins,
        ties=comparison.ties,
        losses=comparison.losses,
        mark=comparison.mark,
    )


def _with_best(rows: list[Row], columns: list[tuple[str, str]]) -> list[Row]:
    """The highest mean of each column marked, among recipes with all seeds; equal at three digits is equally best."""
    best = {}
    for column in columns:
        means = [entry.mean for row in rows if (entry := row.entries[column]).complete and entry.mean is not None]
        if len(means) > 1:
            best[column] = round(max(means), 3)
    return [
        replace(
            row,
            entries={
                column: replace(
                    entry,
                    best=entry.complete and entry.mean is not None and round(entry.mean, 3) == best.get(column),
                )
                for column, entry in row.entries.items()
            },
        )
        for row in rows
    ]


def _notes(cells: Mapping[tuple[str, str], list[Cell]]) -> list[str]:
    """What a reader must know about means that are not over every planned seed."""
    notes = []
    for (backbone, recipe), seeds in cells.items():
        gone = [cell for cell in seeds if cell.state != "done"]
        if not seeds:
            notes.append(f"{recipe} on {backbone}: no cell was planned.")
        elif len(gone) == len(seeds):
            notes.append(f"{recipe} on {backbone}: no value, none of {plural(len(seeds), 'seed')} finished.")
        elif gone:
            which = enumerate_words([f"seed {cell.seed} {_state(cell)}" for cell in gone])
            done = len(seeds) - len(gone)
            notes.append(f"{recipe} on {backbone}: the mean is over {done} of {plural(len(seeds), 'seed')} ({which}).")
    return notes


def _state(cell: Cell) -> str:
    return {"failed": "failed", "running": "is still running"}.get(cell.state, "is missing")
