"""The results as compact data, for programs that read a report."""

from collections.abc import Mapping
from typing import Any

from limbeck.report.finding import state_finding
from limbeck.report.table import Entry, Results, Row, Table, build_table, finite


def summary_json(results: Results) -> dict[str, Any]:
    """What `limbeck study report DIR --json` prints: plain data without NaN.

    `recipes[i]["values"][collection][measure]` holds the mean, its standard deviation, every planned seed's value (null
    where the cell has none), the difference to the first stage and its corrected p-value.
    """
    table = build_table(results)
    states = [cell["state"] for cell in results["cells"]]
    first_stage = results.get("first_stage") or {}
    summary = {
        "name": results["name"],
        "finding": str(state_finding(results, table)),
        "measures": list(table.measures),
        "collections": list(table.collections),
        "first_stage": {
            "name": table.rows[0].recipe,
            "depth": first_stage.get("depth"),
            "values": _means(table.rows[0], table),
            "counts": first_stage.get("counts") or {},
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
            {key: cell.get(key) for key in ("id", "backbone", "recipe", "seed", "state", "error")}
            for cell in results["cells"]
            if cell["state"] != "done"
        ],
        "notes": list(table.notes),
        "warnings": list(results.get("warnings") or ()),
    }
    return plain(summary)  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: NaN and ±inf become null, tuples lists, keys text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return finite(value) if isinstance(value, float) else value


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
