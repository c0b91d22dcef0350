"""The results as tidy CSV: one row per value, numbers in full precision."""

import csv
import io
from typing import Any

from limbeck.core.text import csv_cell
from limbeck.report.table import Entry, build_table, value_of
from limbeck.study.analysis.results import StudyResults

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
