"""A study's trainings and results for experiment trackers, after the fact: from its logs, which hold all numbers."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limbeck.evaluation import query_means
from limbeck.study.run.status import cell_state
from limbeck.study.run.store import Store, read_json
from limbeck.training.log import Tracker, read_log, tracker


def track_study(output: Path, to: Tracker, say: Callable[[str], None] = lambda text: None) -> dict[str, int]:
    """Send every cell's log, and the means of those that are evaluated, to a tracker: a run for each cell.

    TensorBoard's files are written anew below `output/tensorboard`; trackio and Weights & Biases get new runs of the
    project with the study's name.

    Args:
        say: called with a line for each cell.

    Returns:
        Counts: `cells` sent, `records` of their logs, and `without_log`: cells that have not begun.

    Raises:
        MissingError: no study there, or the tracker is not installed.
        DataError: a damaged log.
    """
    store = Store(output)
    index = store.read_index()
    folder = output / "tensorboard"
    if to == "tensorboard":
        shutil.rmtree(folder, ignore_errors=True)
    counts = {"cells": 0, "records": 0, "without_log": 0}
    for cell in index["cells"]:
        records: list[dict[str, Any]] = read_log(store.cell(cell["id"]) / "log.jsonl")
        if not records:
            counts["without_log"] += 1
            continue
        name = f"{cell['backbone']} · {cell['recipe']} · seed {cell['seed']}"
        if cell_state(store, cell, index["measures"])[0] == "done":
            kept = {
                collection: read_json(store.evaluation(cell["id"], key) / "values.json")
                for collection, key in cell["evaluations"].items()
            }
            values = {name: query_means(found["values"], index["measures"]) for name, found in kept.items()}
            records.append({"kind": "test", "step": records[-1]["step"], "values": values})
        facts = {key: cell[key] for key in ("id", "backbone", "recipe", "seed")}
        description = read_json(store.cell(cell["id"]) / "cell.json")
        sink = tracker(to, folder / cell["id"], {**facts, "description": description}, (index["name"], name))
        for record in records:
            sink.write(record)
        sink.sync()
        sink.close()
        say(f"{name}: {len(records):,} records")
        counts["cells"] += 1
        counts["records"] += len(records)
    return counts
