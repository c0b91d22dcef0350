"""The figures whose variance is analysed: those of a finished study, or of any table of results."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError, nearest
from limbeck.evaluation import FactorAnalysis, Figures, Training, Trainings, analyse_factors
from limbeck.study.analysis.comparisons import Trained
from limbeck.study.plan.training_conditions import UNTRAINED

if TYPE_CHECKING:
    from limbeck.study.analysis.results import Cell, Recipe

FACTORS = ("backbone", "objective", "negatives", "first stage")
NEEDED = ("collection", "value")


@dataclass(frozen=True)
class Table:
    """Rows of text, each with the place it came from.

    Attributes:
        skipped: rows without a value.
        trained: a study's recipes with their values per query, by backbone, recipe and first stage; none of a table.
    """

    rows: tuple[tuple[str, Mapping[str, str]], ...]
    skipped: int
    trained: Mapping[tuple[str, str, str], Trained] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0][1]) if self.rows else []


@dataclass(frozen=True)
class FactorsOfStudy(FactorAnalysis):
    """The analysis of a study's first measure; `factors` are those that vary."""

    factors: tuple[str, ...]


@dataclass(frozen=True)
class NoFactors:
    """`absent` is the reason why a study's factors cannot be analysed."""

    absent: str


def read_table(path: Path) -> Table:
    """A CSV file with the columns `collection` and `value`, and any of `measure`, `seed` and factors.

    Raises MissingError for an absent file and DataError for one without these columns or rows.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no such file; expected a CSV table of figures, or the folder of a finished study")
    # Spreadsheets put a byte order mark first.
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        try:
            absent = [name for name in NEEDED if name not in (reader.fieldnames or ())]
            rows = [
                (f"{path}:{reader.line_num}", {key: value or "" for key, value in row.items() if key}) for row in reader
            ]
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: not CSV in UTF-8 ({error}); save it so") from None
    if absent:
        raise DataError(
            f"{path}:1: no column {' or '.join(absent)}; there are {', '.join(reader.fieldnames or ()) or 'none'}"
        )
    kept = tuple((place, row) for place, row in rows if row["value"].strip())
    if not kept:
        raise DataError(f"{path}: no row has a value")
    return Table(kept, len(rows) - len(kept))


def study_table(
    recipes: Sequence["Recipe"], cells: Sequence["Cell"], trained: Mapping[str, Sequence[Trained]]
) -> Table:
    """The values of a study's finished cells, a row each: backbone, recipe, objective, negatives, first stage, seed,
    collection, measure and value.

    `objective` joins those of the recipe's stages, `negatives` the candidates that its lists draw from and how.
    DataError where no cell is finished.

    Args:
        trained: first stage whose candidates were re-ranked → the cells' values per query.
    """
    by_query = {(one.backbone, one.recipe, stage): one for stage, some in trained.items() for one in some}
    stages = {recipe.name: recipe.stages for recipe in recipes}
    rows = []
    for cell in cells:
        known = {
            "backbone": cell.backbone,
            "recipe": cell.recipe,
            "objective": _then(stage.objective for stage in stages[cell.recipe]) or UNTRAINED,
            "negatives": _then(f"{stage.lists}, {stage.sample}" for stage in stages[cell.recipe]) or UNTRAINED,
            "seed": str(cell.seed),
        }
        for stage in trained if cell.state == "done" else ():
            for collection, of_measures in by_query[cell.backbone, cell.recipe, stage].values.items():
                where = {**known, "first stage": stage, "collection": collection}
                for measure, seeds in of_measures.items():
                    if found := seeds.get(cell.seed):
                        value = repr(sum(found.values()) / len(found))
                        rows.append((f"cell {cell.id}", {**where, "measure": measure, "value": value}))
    if not rows:
        raise DataError("no cell is finished; `limbeck study run` goes on")
    return Table(tuple(rows), 0, by_query)


def analyse_cells(
    recipes: Sequence["Recipe"], cells: Sequence["Cell"], trained: Mapping[str, Sequence[Trained]], measure: str
) -> FactorsOfStudy | NoFactors:
    """The analysis of one measure of a study, or the reason why there can be none."""
    try:
        found = figures(select(study_table(recipes, cells, trained), {"measure": [measure]}))
        return FactorsOfStudy(**vars(analyse_factors(found)), factors=found.factors)
    except LimbeckError as error:
        return NoFactors(str(error))


def select(table: Table, conditions: Mapping[str, Sequence[str]]) -> Table:
    """The rows with one of the values given for each column. UsageError for a column or value that is not there."""
    rows = table.rows
    for column, values in conditions.items():
        if column not in table.columns:
            raise UsageError(
                f'no column "{column}"{nearest(column, table.columns)}; there are {", ".join(table.columns)}'
            )
        there = {row[column] for _, row in table.rows}
        for value in values:
            if value not in there:
                raise UsageError(f'no row has {column} "{value}"{nearest(value, there)}')
        rows = tuple((place, row) for place, row in rows if row[column] in values)
    if not rows:
        raise UsageError("no row meets all conditions")
    return replace(table, rows=rows)


def figures(table: Table, factors: Sequence[str] = ()) -> Figures:
    """The table's figures of one measure, as means of configurations.

    Args:
        factors: the columns that tell configurations apart; by default those of backbone, objective, negatives and
            first stage that have more than one level.

    Raises:
        UsageError: an unknown factor, one with a single level, none that varies, or several measures.
        DataError: a value that is no number, two for one configuration, seed and collection, or one that is missing.
    """
    columns = table.columns
    for factor in factors:
        if factor in ("collection", "seed", "measure", "value"):
            raise UsageError(f"{factor} is no factor of configurations; collections and seeds are analysed in any case")
        if factor not in columns:
            raise UsageError(f'no column "{factor}"{nearest(factor, columns)}; there are {", ".join(columns)}')
    levels = {name: _distinct(table, name) for name in (factors or FACTORS) if name in columns}
    chosen = [name for name, found in levels.items() if len(found) > 1]
    single = [f"{name} ({levels[name][0]})" for name in factors if name not in chosen]
    if single:
        raise UsageError(f"one level explains nothing: {', '.join(single)}; leave it out, or take more rows")
    if not chosen:
        raise UsageError(f"no factor varies: expected two levels or more in {', '.join(factors or FACTORS)}")
    measures = _distinct(table, "measure") if "measure" in columns else []
    if len(measures) > 1:
        raise UsageError(f"the figures are of several measures; choose one of {', '.join(measures)} with --measure")
    collections = _distinct(table, "collection")
    cells: dict[tuple[str, ...], dict[str, dict[str, tuple[str, float]]]] = {}
    rows: dict[tuple[tuple[str, ...], str], Mapping[str, str]] = {}
    for place, row in table.rows:
        rows[tuple(row[name] for name in chosen), row.get("seed", "")] = row
        seeds = cells.setdefault(tuple(row[name] for name in chosen), {})
        seed = seeds.setdefault(row.get("seed", ""), {})
        if row["collection"] in seed:
            raise DataError(
                f"{place}: a second value for {_words(row, [*chosen, 'seed', 'collection'])}, beside "
                f"{seed[row['collection']][0]}; choose rows with --where, or name with --factor what they differ in"
            )
        seed[row["collection"]] = (place, _number(place, row["value"]))
    values = []
    for configuration, seeds in cells.items():
        for number, seed in seeds.items():
            absent = [name for name in collections if name not in seed]
            if absent:
                known = _words({**dict(zip(chosen, configuration, strict=True)), "seed": number}, [*chosen, "seed"])
                raise DataError(f"{known} has no value on {', '.join(absent)}; choose with --where what is complete")
        values.append(np.array([[seed[name][1] for name in collections] for seed in seeds.values()]))
    return Figures(
        factors=tuple(chosen),
        levels=tuple(tuple(levels[name]) for name in chosen),
        configurations=np.array(
            [[levels[n].index(level) for n, level in zip(chosen, one, strict=True)] for one in cells]
        ),
        collections=tuple(collections),
        values=tuple(values),
        by_query=_by_query(
            table.trained, [[rows[one, seed] for seed in seeds] for one, seeds in cells.items()], collections
        ),
    )


def _by_query(
    trained: Mapping[tuple[str, str, str], Trained],
    configurations: Sequence[Sequence[Mapping[str, str]]],
    collections: Sequence[str],
) -> Trainings | None:
    """The trainings of each configuration, one row of the table for each of its seeds; see `Figures.by_query`."""
    if not trained:
        return None
    several = len({stage for _, _, stage in trained}) > 1
    rankers = []
    for number, rows in enumerate(configurations):
        for row in rows:
            of, seed = trained[row["backbone"], row["recipe"], row["first stage"]], int(row["seed"])
            # On several first stages one training has several rows: what they share is all of it.
            prefix = f"{of.recipe} {seed}" if several else of.prefixes.get(seed)
            rankers.append(
                Training(
                    recipe=str(number),
                    backbone=of.backbone,
                    prefix=prefix,
                    values={name: of.values[name][row["measure"]][seed] for name in collections},
                )
            )
    return Trainings.align(rankers)


def _number(place: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f'{place}: the value "{text}" is no finite number')
    return value


def _distinct(table: Table, column: str) -> list[str]:
    return list(dict.fromkeys(row[column] for _, row in table.rows))


def _words(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return ", ".join(f"{name} {row[name]}" for name in columns if row.get(name))


def _then(parts: Iterator[str]) -> str:
    return ", then ".join(dict.fromkeys(parts))
