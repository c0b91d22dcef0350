"""The numbers that a page sorts and filters, as compactly as a browser can still read them."""

import base64
import gzip
import json
from typing import Any

from limbeck.core.files import plain
from limbeck.report.phrases import pair_note
from limbeck.report.table import Entry, Table
from limbeck.report.terms import signed_recipe
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
            measure: {column: [_entry(row.entry(column, measure)) for row in table.rows] for column in table.columns}
            for measure in table.measures
        },
        "pairs": [_pair(results, pair) for pair in results.pairwise],
        "cells": [_cell(cell) for cell in results.cells],
    }


def _entry(entry: Entry) -> list[Any] | None:
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
