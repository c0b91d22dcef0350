"""The numbers that a page sorts and filters, as compactly as a browser can still read them."""

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

from limbeck.report.phrases import pair_note
from limbeck.report.summary import plain
from limbeck.report.table import ABOVE, BELOW, Entry, Results, Table, decisive_p, mark
from limbeck.report.terms import signed_recipe

_SIGNS = {ABOVE: 1, BELOW: -1, "": 0}


def pack(data: Any) -> str:
    """Plain data as base64 of gzipped JSON: no character of it means anything in HTML. Equal data, equal text."""
    text = json.dumps(plain(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def table_data(results: Results, table: Table) -> dict[str, Any]:
    """Systems, their values by measure and column, pairs of recipes and cells, in the order of `page.js`."""
    return {
        "measures": list(table.measures),
        "margin": results.get("margin"),
        "suites": list(table.suites),
        "collections": list(table.collections),
        "seeds": sorted({cell["seed"] for cell in results["cells"]}),
        "systems": [[row.kind, row.signed_recipe, row.backbone] for row in table.rows],
        "values": {
            measure: {column: [_entry(row.entry(column, measure)) for row in table.rows] for column in table.columns}
            for measure in table.measures
        },
        "pairs": [_pair(results, pair) for pair in results.get("pairwise") or ()],
        "cells": [_cell(cell) for cell in results["cells"]],
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


def _pair(results: Results, pair: Mapping[str, Any]) -> list[Any]:
    p = decisive_p(pair)
    return [
        pair["collection"],
        *(signed_recipe(results, **pair[side]) for side in ("a", "b")),
        pair["a"]["backbone"],
        *map(_short, (pair["difference"], *pair["ci"], p)),
        _SIGNS[mark(pair["difference"], p)],
        pair_note(pair.get("differs")),
        _short(pair.get("corrected_equivalence_p")),
    ]


def _cell(cell: Mapping[str, Any]) -> list[Any]:
    training = cell.get("training") or {}
    facts = [training.get(key) for key in ("best_step", "steps", "pairs", "tokens", "seconds", "parameters")]
    return [cell["recipe"], cell["backbone"], cell["seed"], cell["state"], *facts, cell.get("error")]


def _short(value: float | None) -> float | None:
    """Six significant digits: more than is shown, so that rounding stays invisible."""
    return None if value is None else float(f"{value:.6g}")
