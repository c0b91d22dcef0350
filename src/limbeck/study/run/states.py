"""What each node is: waiting, running, done and intact, failed. Told by the files of an output folder alone."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from limbeck.core.lease import Attempt, is_alive, is_held, last_attempt, read_record, server_time
from limbeck.study.run.graph import Graph, Node
from limbeck.study.run.store import Store


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
