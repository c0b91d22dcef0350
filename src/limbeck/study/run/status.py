"""How far each cell of an output folder is."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from limbeck.study.run.store import Store, read_json

State = Literal["done", "failed", "running", "missing"]
_TAIL = 1 << 16  # bytes at the end of a log that hold its last record for certain


def status(output: str | Path) -> dict[str, Any]:
    """The state of all cells.

    Returns:
        `name`; `counts` (state → cells); `cells`, each with `id`, `backbone`, `recipe`, `seed`, `state` (done, failed,
        running, missing), `step` of `steps` optimiser steps (None while their number is not known) and `error`.

    Raises MissingError where the folder holds no study.
    """
    store = Store(output)
    index = store.read_index()
    cells = [_status(store, entry, index["measures"]) for entry in index["cells"]]
    states = ("done", "failed", "running", "missing")
    counts = {state: sum(cell["state"] == state for cell in cells) for state in states}
    return {"name": index["name"], "counts": counts, "cells": cells}


def cell_state(store: Store, entry: Mapping[str, Any], measures: Iterable[str]) -> tuple[State, str | None]:
    """A cell's state and, if it failed, its error. `entry` is its entry in the index."""
    if store.is_claimed(entry["id"]):
        return "running", None
    state = store.state(entry["id"])
    if state.get("status") == "failed":
        return "failed", state.get("error")
    return ("done" if is_done(store, entry["id"], entry["evaluations"].values(), measures) else "missing"), None


def is_done(store: Store, cell_id: str, evaluations: Iterable[str], measures: Iterable[str]) -> bool:
    """Whether a cell is trained and has all evaluations of these keys, each in all these measures."""
    if not (store.cell(cell_id) / "summary.json").exists() or store.state(cell_id).get("status") != "done":
        return False
    wanted = set(measures)
    for key in evaluations:
        folder = store.evaluation(cell_id, key)
        if not ((folder / "run.gz").exists() and (folder / "values.json").exists()):
            return False
        if not wanted <= set(read_json(folder / "values.json")["values"]):
            return False
    return True


def last_step(log: Path) -> int:
    """The last optimiser step in a training's log, also of one that is being written; 0 before the first."""
    if not log.exists():
        return 0
    with log.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL))
        lines = stream.read().split(b"\n")
    # The first line may begin, and the last one end, in the middle of a record.
    complete = lines[int(size > _TAIL) : -1]
    return max((int(json.loads(line)["step"]) for line in complete[-2:]), default=0)


def _status(store: Store, entry: Mapping[str, Any], measures: list[str]) -> dict[str, Any]:
    state, error = cell_state(store, entry, measures)
    return {
        **{name: entry[name] for name in ("id", "backbone", "recipe", "seed")},
        "state": state,
        "step": last_step(store.cell(entry["id"]) / "log.jsonl"),
        "steps": entry["steps"] or store.state(entry["id"]).get("steps"),
        "error": error,
    }
