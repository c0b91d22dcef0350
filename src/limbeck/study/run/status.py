"""How far a study is, told by the files of its output folder alone.

What each node is (waiting, running, done and intact, failed), and what that makes of cells: steps, hours and errors.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from limbeck.core.json_files import Schema, parse_json
from limbeck.core.lease import Attempt, is_alive, is_held, last_attempt, read_record, server_time
from limbeck.study.run.graph import Graph, Node, read_graph
from limbeck.study.run.store import Store, read_json


class State(StrEnum):
    """What a node is."""

    WAITING = "waiting"  # for what it needs
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # by a mistake or a fault; tried again by the next `study run`
    BLOCKED = "blocked"  # by a node that failed
    DIED = "died"  # its process did; it is tried again
    STOPPED = "stopped"  # as it was asked to; it goes on
    DAMAGED = "damaged"  # its result is not as it was written; it is made again


@dataclass(frozen=True)
class NodeState:
    """A node's state, the newest attempt at it, and of a blocked one the node that failed."""

    state: State
    attempt: Attempt | None = None
    blocked_by: str | None = None

    @property
    def error(self) -> str | None:
        """What went wrong."""
        found: str | None = self.attempt.record.get("error") if self.attempt else None
        return found


class NodeStates:
    """The states of a graph's nodes, as the files tell. `look` looks at all of them at once; `of` looks if need be."""

    def __init__(self, graph: Graph, store: Store) -> None:
        self.graph, self.store = graph, store
        self._records: dict[Path, tuple[int, dict[str, Any]]] = {}
        self._intact: dict[str, tuple[int, bool]] = {}
        self._own: dict[str, NodeState] = {}

    def of(self, node: Node) -> NodeState:
        """One node's own state: of one that waits only whether it was tried. Looked up once."""
        if node.name not in self._own:
            attempt = last_attempt(self.store.attempts, node.key)
            self._own[node.name] = self._state(node, attempt, attempt is not None and is_held(attempt))
        return self._own[node.name]

    def look(self) -> dict[str, NodeState]:
        """The states of all nodes now, by their names. Reads what has changed since the last time."""
        newest = self._newest()
        now = server_time(self.store.folder) if newest else 0.0
        found: dict[str, NodeState] = {}
        for node in self.graph.nodes:
            attempt, touched = newest.get(node.key, (None, 0.0))
            own = self._state(node, attempt, attempt is not None and is_alive(attempt, now, touched))
            if own.state in (State.READY, State.STOPPED, State.DIED, State.DAMAGED):
                own = self._with_needs(node, own, found)
            found[node.name] = own
        for node in reversed(self.graph.nodes):
            # Shared prefixes are removed once what they were for is done.
            own, after = found[node.name], self.graph.followers[node.name]
            is_gone = node.kind == "prefix" and own.state is State.DAMAGED
            if is_gone and all(found[each.name].state is State.DONE for each in after):
                found[node.name] = NodeState(State.DONE, own.attempt)
        self._own = dict(found)
        return found

    def _with_needs(self, node: Node, own: NodeState, found: Mapping[str, NodeState]) -> NodeState:
        for need in node.needs:
            before = found[need]
            if before.state in (State.FAILED, State.BLOCKED):
                return NodeState(State.BLOCKED, own.attempt, before.blocked_by or need)
        if own.state is State.READY and any(found[need].state is not State.DONE for need in node.needs):
            return NodeState(State.WAITING, own.attempt)
        return own

    def _newest(self) -> dict[str, tuple[Attempt, float]]:
        """Key → its newest attempt and the time of its file."""
        entries: dict[str, tuple[int, os.DirEntry[str]]] = {}
        for folder in _folders(self.store.attempts):
            with os.scandir(folder) as files:
                for entry in files:
                    key, _, rest = entry.name.partition(".")
                    number = rest[:-5]
                    if number.isdecimal() and (key not in entries or int(number) > entries[key][0]):
                        entries[key] = (int(number), entry)
        found: dict[str, tuple[Attempt, float]] = {}
        for key, (latest, entry) in entries.items():
            path = Path(entry.path)
            try:
                changed = entry.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if self._records.get(path, (None,))[0] != changed:
                self._records[path] = (changed, read_record(path))
            found[key] = (Attempt(key, latest, path, self._records[path][1]), changed / 1e9)
        return found

    def _state(self, node: Node, attempt: Attempt | None, alive: bool) -> NodeState:
        if attempt is None:
            return NodeState(State.READY)
        status = attempt.status
        if status is None:
            return NodeState(State.RUNNING if alive else State.DIED, attempt)
        if status == "done":
            return NodeState(State.DONE if self._is_intact(node, attempt) else State.DAMAGED, attempt)
        return NodeState(State(status), attempt)

    def _is_intact(self, node: Node, attempt: Attempt) -> bool:
        known = self._intact.get(node.name)
        if known is None or known[0] != attempt.number or not known[1]:
            known = (attempt.number, not damaged_files(self.store, attempt))
            self._intact[node.name] = known
        return known[1]


def damaged_files(store: Store, attempt: Attempt) -> list[str]:
    """The files of a result that are gone, or that are not as they were written: by size, then time, then content."""
    found = []
    for name, (size, changed, digest) in attempt.record.get("files", {}).items():
        path = store.folder / name
        try:
            stat = path.stat()
        except OSError:
            found.append(name)
            continue
        if stat.st_size != size or (stat.st_mtime_ns != changed and file_digest(path) != digest):
            found.append(name)
    return found


def file_digest(path: Path) -> str:
    """32 hex digits of SHA-256 over a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]


def _folders(attempts: Path) -> list[str]:
    try:
        with os.scandir(attempts) as found:
            return [entry.path for entry in found if len(entry.name) == 2]
    except FileNotFoundError:
        return []


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
