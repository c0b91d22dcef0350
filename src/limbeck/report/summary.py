"""The results as compact data, for programs that read a report."""

from typing import Any

from limbeck.core.files import plain
from limbeck.report.finding import state_finding
from limbeck.report.phrases import unfinished_cells
from limbeck.report.table import Entry, Row, Table, build_table
from limbeck.study.analysis.results import StudyResults


def summary_json(results: StudyResults) -> dict[str, Any]:
    """What `limbeck study report DIR --json` prints: plain data without NaN.

    `recipes[i]["values"][collection][measure]` holds the mean, its standard deviation, every planned seed's value (null
    where the cell has none), the difference to the first stage and its corrected p-value.
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
                    collection: {measure: _entry(row.entry(collection, measure)) for measure in table.measures}
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
        "notes": list(table.notes),
        "warnings": list(results.warnings),
    }
    return plain(summary)  # type: ignore[no-any-return]


def _means(row: Row, table: Table) -> dict[str, dict[str, float | None]]:
    return {
        collection: {measure: row.entry(collection, measure).mean for measure in table.measures}
        for collection in table.collections
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "mean": entry.mean,
        "std": entry.std,
        "seeds": {str(seed): value for seed, value in entry.seeds},
        "difference": entry.difference,
        "ci": None if entry.low is None else [entry.low, entry.high],
        "corrected_p": entry.corrected_p,
        "mark": entry.mark,
    }
