"""How far a study is: its cells and nodes, their steps, hours and errors, read from its output folder alone."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from limbeck.core.json_files import Schema, parse_json
from limbeck.core.lease import last_attempt
from limbeck.study.run.graph import Node, read_graph
from limbeck.study.run.states import NodeState, NodeStates, State
from limbeck.study.run.store import Store, read_json

CellState = Literal["done", "failed", "blocked", "running", "missing"]
_TAIL = 1 << 16  # bytes at the end of a log that hold its last record for certain


def status(output: str | Path) -> dict[str, Any]:
    """The state of all nodes and cells.

    Returns:
        `name`; `counts` (state → cells); `cells`, each with `id`, `backbone`, `recipe`, `seed`, `state` (done, failed,
        blocked, running, missing), `step` of `steps` optimiser steps (None while their number is not known) and
        `error`; `node_counts` (state → nodes); `nodes` that are neither done nor waiting, each with `name`, `label`,
        `state`, `host`, `gpus` (as CUDA_VISIBLE_DEVICES names them), `attempts`, `seconds` since it began, `progress`
        (0 to 1), `hours_left`, `error`, `blocked_by` and `log`; `hours_left` on one GPU, of the nodes whose hours the
        plan tells (None: of none).

    Raises MissingError where the folder holds no study.
    """
    store = Store(output)
    index, graph = store.read_index(), read_graph(store)
    states = NodeStates(graph, store).look()
    of_cell: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if node.cell:
            of_cell.setdefault(node.cell, []).append(node)
    cells = [_cell(store, entry, of_cell.get(entry["id"], []), states) for entry in index["cells"]]
    kinds = ("done", "failed", "blocked", "running", "missing")
    shown = [
        _node(store, node, states[node.name])
        for node in graph.nodes
        if states[node.name].state not in (State.DONE, State.WAITING, State.READY)
    ]
    left = [node.hours for node in graph.nodes if node.hours is not None and states[node.name].state is not State.DONE]
    return {
        "name": index["name"],
        "counts": {kind: sum(cell["state"] == kind for cell in cells) for kind in kinds},
        "cells": cells,
        "node_counts": {state.value: count for state, count in Counter(s.state for s in states.values()).items()},
        "nodes": shown,
        "hours_left": sum(left) if left else None,
    }


def cell_state(store: Store, entry: Mapping[str, Any], measures: Iterable[str]) -> tuple[CellState, str | None]:
    """A cell's state (done, failed, missing) by its results alone, and if it failed, its error.

    Args:
        entry: its entry in the index.
    """
    if is_done(store, entry["id"], entry["evaluations"].values(), measures):
        return "done", None
    state = store.state(entry["id"])
    return ("failed", state.get("error")) if state.get("status") == "failed" else ("missing", None)


def is_done(store: Store, cell_id: str, evaluations: Iterable[str], measures: Iterable[str]) -> bool:
    """Whether a cell is trained and has all evaluations of these keys, each in all these measures."""
    if not (store.cell(cell_id) / "summary.json").exists():
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
    schema: Schema = {"step": int}
    return max((parse_json(line, str(log), schema, one_line=True)["step"] for line in complete[-2:]), default=0)


def _cell(store: Store, entry: Mapping[str, Any], nodes: list[Node], states: Mapping[str, NodeState]) -> dict[str, Any]:
    own = [states[node.name] for node in nodes]
    kinds = {each.state for each in own}
    state, error = "missing", None
    for kind in (State.RUNNING, State.FAILED, State.BLOCKED):
        if kind in kinds:
            found = next(each for each in own if each.state is kind)
            error = found.error if kind is State.FAILED else _reason(found, states)
            state = kind.value
            break
    else:
        state = "done" if kinds == {State.DONE} else "missing"
    training = states.get(f"cell/{entry['id']}")
    steps = entry["steps"] or store.state(entry["id"]).get("steps")
    if training is not None and training.state is State.DONE and steps:
        step = steps
    else:
        step = last_step(store.cell(entry["id"]) / "log.jsonl")
    return {
        **{name: entry[name] for name in ("id", "backbone", "recipe", "seed")},
        "state": state, "step": step, "steps": steps, "error": error,
    }  # fmt: skip


def _reason(found: NodeState, states: Mapping[str, NodeState]) -> str | None:
    if found.blocked_by is None:
        return None
    return f"{found.blocked_by} failed: {states[found.blocked_by].error}"


def prefix_seconds(store: Store) -> float:
    """Seconds spent on beginnings that several cells have in common, which are no single cell's."""
    if not store.graph.exists():
        return 0.0
    attempts = (last_attempt(store.attempts, node.key) for node in read_graph(store).nodes if node.kind == "prefix")
    return sum(float(each.record.get("seconds") or 0.0) for each in attempts if each)


def progress_of(store: Store, node: Node) -> float | None:
    """How far a node's training is, 0 to 1, by the steps in its log; None for others, and before the first step."""
    if node.kind not in ("cell", "prefix"):
        return None
    folder = store.cell(node.key) if node.kind == "cell" else store.prefix_training(node.name.partition("/")[2])
    if not (folder / "plan.json").exists():
        return None
    steps: int = sum(stage["steps"] for stage in read_json(folder / "plan.json")["stages"])
    return min(1.0, last_step(folder / "log.jsonl") / steps)


def _node(store: Store, node: Node, found: NodeState) -> dict[str, Any]:
    record = found.attempt.record if found.attempt else {}
    seconds = record.get("seconds")
    progress = None
    if found.state is State.RUNNING:
        seconds = max(0.0, time.time() - record.get("began", time.time()))
        progress = progress_of(store, node)
    left = None
    if progress and seconds is not None:
        left = seconds / 3600 * (1 - progress) / progress
    elif node.hours is not None:
        left = max(0.0, node.hours - (seconds or 0) / 3600) if found.state is State.RUNNING else node.hours
    log = store.log(node.key, found.attempt.number) if found.attempt else None
    return {
        "name": node.name,
        "label": node.label,
        "state": found.state.value,
        "host": record.get("host"),
        "gpus": record.get("gpus"),
        "attempts": found.attempt.number if found.attempt else 0,
        "seconds": seconds,
        "progress": progress,
        "hours_left": left,
        "error": found.error,
        "blocked_by": found.blocked_by,
        "log": str(log) if log and log.exists() else None,
    }
