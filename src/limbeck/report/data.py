"""The results as data: tidy CSV, compact JSON for programs, and the numbers that a page sorts and filters."""

import base64
import csv
import gzip
import io
import json
from typing import Any

from limbeck.core.errors import csv_cell
from limbeck.core.files import plain
from limbeck.report.audit import signed_recipe
from limbeck.report.cheapest import state_cheapest
from limbeck.report.finding import state_finding
from limbeck.report.phrases import pair_note, unfinished_cells
from limbeck.report.table import Entry, Row, Table, build_table, value_of
from limbeck.study.analysis.comparisons import RecipeDifference
from limbeck.study.analysis.results import Cell, StudyResults

_SIGNS = {"▲": 2, "△": 1, "": 0, "▽": -1, "▼": -2}


def pack(data: Any) -> str:
    """Plain data as base64 of gzipped JSON: no character of it means anything in HTML. Equal data, equal text."""
    text = json.dumps(plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def table_data(results: StudyResults, table: Table) -> dict[str, Any]:
    """Systems, their values by measure and column, pairs of recipes and cells, in the order of `page.js`."""
    return {
        "measures": list(table.measures),
        "margin": results.margin,
        "suites": list(table.suites),
        "collections": list(table.collections),
        "seeds": sorted({cell.seed for cell in results.cells}),
        "systems": [[row.kind, row.signed_recipe, row.backbone] for row in table.rows],
        "values": {
            measure: {column: [_numbers(row.entry(column, measure)) for row in table.rows] for column in table.columns}
            for measure in table.measures
        },
        "pairs": [_pair(results, pair) for pair in results.pairwise],
        "cells": [_cell(cell) for cell in results.cells],
    }


def _numbers(entry: Entry) -> list[Any] | None:
    if entry.mean is None:
        return [None, entry.seed_note]
    compared = [entry.difference, entry.low, entry.high, entry.corrected_p, entry.detectable]
    return [
        _short(entry.mean),
        entry.seed_note,
        _short(entry.std),
        _SIGNS[entry.mark],
        int(entry.best),
        [_short(value) for _, value in entry.seeds],
        [_short(value) for value in compared],
        [entry.wins, entry.ties, entry.losses],
    ]


def _pair(results: StudyResults, pair: RecipeDifference) -> list[Any]:
    shown = pair.shown
    return [
        pair.collection,
        *(signed_recipe(results, side.backbone, side.recipe) for side in (pair.a, pair.b)),
        pair.a.backbone,
        *map(_short, (pair.difference, *((shown and shown.interval) or (None, None)))),
        _short(shown.corrected_p if shown else None),
        _SIGNS[pair.mark],
        pair_note(pair.differs),
        _short(shown.corrected_equivalence_p if shown else None),
    ]


def _cell(cell: Cell) -> list[Any]:
    one = cell.training
    facts = [one.best_step, one.steps, one.pairs, one.tokens, one.seconds, one.parameters] if one else [None] * 6
    return [cell.recipe, cell.backbone, cell.seed, cell.state, *facts, cell.error]


def _short(value: float | None) -> float | None:
    """Six significant digits: more than is shown, so that rounding stays invisible."""
    return None if value is None else float(f"{value:.6g}")


COLUMNS = (
    "kind",
    "backbone",
    "recipe",
    "terms",
    "collection",
    "measure",
    "seed",
    "state",
    "value",
    "std",
    "seeds_done",
    "seeds_planned",
    "difference",
    "ci_low",
    "ci_high",
    "corrected_p",
    "detectable",
    "mark",
)
_MARKS = {"▲": "recipes above", "△": "models above", "▽": "models below", "▼": "recipes below"}


def to_csv(results: StudyResults) -> str:
    """One row per backbone, recipe, collection, measure and seed, then one over the seeds (seed `mean`).

    The first stage and the teachers have one row per collection and measure; `kind` tells them apart and their name
    stands in `recipe`. A value that is not there is empty, and `state` says why.
    """
    table = build_table(results)
    cells = {(cell.backbone, cell.recipe, cell.seed): cell for cell in results.cells}
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        for (collection, measure), entry in row.entries.items():
            facts: dict[str, Any] = {
                "kind": row.kind,
                "backbone": csv_cell(row.backbone),
                "recipe": csv_cell(row.recipe),
                "terms": row.terms,
                "collection": csv_cell(collection),
                "measure": measure,
            }
            if row.kind != "recipe":
                writer.writerow({**facts, "state": _state(entry), "value": entry.mean})
                continue
            for seed, _ in entry.seeds:
                cell = cells[row.backbone, row.recipe, seed]
                value = value_of(cell, collection, measure)
                writer.writerow({**facts, "seed": seed, "state": cell.state, "value": value})
            writer.writerow({**facts, "seed": "mean", **_aggregate(entry)})
    return file.getvalue()


def _state(entry: Entry) -> str:
    if entry.mean is None:
        return "missing"
    return "done" if entry.complete else "incomplete"


def _aggregate(entry: Entry) -> dict[str, Any]:
    return {
        "state": _state(entry),
        "value": entry.mean,
        "std": entry.std,
        "seeds_done": len(entry.seeds) - len(entry.absent),
        "seeds_planned": len(entry.seeds),
        "difference": entry.difference,
        "ci_low": entry.low,
        "ci_high": entry.high,
        "corrected_p": entry.corrected_p,
        "detectable": entry.detectable,
        "mark": _MARKS.get(entry.mark, ""),
    }


def summary_json(results: StudyResults) -> dict[str, Any]:
    """What `limbeck study report DIR --json` prints: plain data without NaN.

    `recipes[i]["values"][collection][measure]` holds the mean, its standard deviation, every planned seed's value (null
    where the cell has none), the difference to the first stage and its corrected p-value. `cheapest_equivalent` names
    the cheapest model within the margin of the best, or says why there is none; null where there is no choice.
    """
    table = build_table(results)
    states = [cell.state for cell in results.cells]
    summary = {
        "name": results.name,
        "finding": str(state_finding(results, table)),
        "measures": list(table.measures),
        "collections": list(table.collections),
        "first_stage": {
            "name": table.rows[0].recipe,
            "depth": results.first_stage.depth,
            "values": _means(table.rows[0], table),
            "counts": results.first_stage.counts,
        },
        "teachers": [{"name": row.recipe, "values": _means(row, table)} for row in table.of_kind("teacher")],
        "recipes": [
            {
                "backbone": row.backbone,
                "recipe": row.recipe,
                "terms": row.terms,
                "values": {
                    collection: {measure: _facts(row.entry(collection, measure)) for measure in table.measures}
                    for collection in table.collections
                },
            }
            for row in table.of_kind("recipe")
        ],
        "cells": {"planned": len(states), "done": states.count("done")},
        "unfinished": [
            {key: getattr(cell, key) for key in ("id", "backbone", "recipe", "seed", "state", "error")}
            for cell in unfinished_cells(results)
        ],
        "cheapest_equivalent": state_cheapest(results),
        "notes": list(table.notes),
        "warnings": list(results.warnings),
    }
    found: dict[str, Any] = plain(summary)
    return found


def _means(row: Row, table: Table) -> dict[str, dict[str, float | None]]:
    return {
        collection: {measure: row.entry(collection, measure).mean for measure in table.measures}
        for collection in table.collections
    }


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "mean": entry.mean,
        "std": entry.std,
        "seeds": {str(seed): value for seed, value in entry.seeds},
        "difference": entry.difference,
        "ci": None if entry.low is None else [entry.low, entry.high],
        "corrected_p": entry.corrected_p,
        "mark": entry.mark,
    }
