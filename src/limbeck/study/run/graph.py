"""A study as a graph of nodes: what there is to do, what each needs, and what it takes to do it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import UsageError, nearest
from limbeck.core.files import write_json
from limbeck.core.json_files import Schema, read_json
from limbeck.study.config.schema import Resources
from limbeck.study.run.store import Store

if TYPE_CHECKING:
    from limbeck.study.config.study import Study

GPU_KINDS = frozenset({"encode", "teach", "prefix", "cell", "score", "evaluate"})
"""Kinds that take a GPU where there is one and the study says nothing else."""
SHARE_OF_CELL = {"cell": 1.0, "prefix": 0.5, "encode": 0.2, "teach": 0.2, "score": 0.05, "evaluate": 0.05}
"""How long nodes take where their hours are not known, as shares of a cell: only their order is decided by it."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A piece of work that one process (or, for a cell, several together) does from beginning to end.

    Attributes:
        name: `KIND/…`, by which it is asked for.
        key: stands for everything that can change its result, and for what is asked of it.
        label: what people call it.
        task: the names in the study by which its function knows what to do.
        needs: the names of the nodes that must be done before.
        hours: as planned, on one of its GPUs; None where the plan cannot tell.
        halvings: how often a training's token budget is halved, because memory ran out; decided as it is worked on.
    """

    name: str
    key: str
    label: str
    task: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    hours: float | None = None
    halvings: int = 0

    @property
    def kind(self) -> str:
        """What is done for it: a key of `limbeck.study.run.tasks.FUNCTIONS`."""
        return self.name.partition("/")[0]

    @property
    def cell(self) -> str | None:
        """The id of the cell that it belongs to, if it does."""
        found: str | None = self.task.get("cell")
        return found


@dataclass(frozen=True)
class Graph:
    """A study's nodes, each behind those that it needs.

    Attributes:
        study: the study file's path; names in the study are relative to its folder.
    """

    name: str
    study: str
    nodes: tuple[Node, ...]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def followers(self) -> dict[str, list[Node]]:
        """Name → the nodes that need it."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for need in node.needs:
                found[need].append(node)
        return found

    @cached_property
    def rank(self) -> dict[str, float]:
        """Name → hours of the longest way from the beginning of a node to the end of the study."""
        found: dict[str, float] = {}
        for node in reversed(self.nodes):
            own = SHARE_OF_CELL.get(node.kind, 0.01) if node.hours is None else node.hours
            found[node.name] = own + max((found[after.name] for after in self.followers[node.name]), default=0.0)
        return found

    def find(self, name: str) -> Node:
        """A node by name. UsageError for one that is not there."""
        if name not in self.by_name:
            raise UsageError(
                f'node "{name}": is not in the graph{nearest(name, self.by_name)}; `limbeck study graph` lists all'
            )
        return self.by_name[name]

    def describe(self) -> dict[str, Any]:
        """The graph as plain JSON values; `key`, `needs`, `resources` and `hours` are what a scheduler needs."""
        nodes = [
            {"name": node.name, "kind": node.kind, "key": node.key, "label": node.label, "task": dict(node.task),
             "needs": list(node.needs), "resources": node.resources.model_dump(exclude_none=True), "hours": node.hours}
            for node in self.nodes
        ]  # fmt: skip
        return {"name": self.name, "study": self.study, "nodes": nodes}


_NODE: Schema = {
    "name": str, "key": str, "label": str, "task": dict, "needs": [str], "resources": dict, "hours": (float, None),
}  # fmt: skip
REMEDY = "run `limbeck study run` again, which writes it anew"


def write_graph(graph: Graph, store: Store) -> None:
    """Write `graph.json`, unless it holds the same already."""
    described = graph.describe()
    if not store.graph.exists() or read_json(store.graph, object, REMEDY) != described:
        write_json(store.graph, described)


def read_graph(store: Store) -> Graph:
    """The graph of an output folder. MissingError where there is none, DataError where it is damaged."""
    store.require(store.graph)
    found = read_json(store.graph, {"name": str, "study": str, "nodes": [_NODE]}, REMEDY)
    nodes = tuple(
        Node(
            name=node["name"], key=node["key"], label=node["label"], task=node["task"], needs=tuple(node["needs"]),
            resources=Resources(**node["resources"]), hours=node["hours"],
        )
        for node in found["nodes"]
    )  # fmt: skip
    return Graph(found["name"], found["study"], nodes)


def read_study(graph: Graph, store: Store) -> "Study":
    """The study of an output folder as it was when its graph was made, whatever became of its file since."""
    from limbeck.study.config.study import parse_study  # which imports torch; whoever looks at states needs none

    return parse_study(store.study.read_text(encoding="utf-8"), Path(graph.study))


def hours_by_kind(graph: Graph) -> dict[str, tuple[int, float | None]]:
    """Kind → its nodes, and the hours of those whose hours the plan tells; None where it tells none."""
    found: dict[str, tuple[int, float | None]] = {}
    for node in graph.nodes:
        count, hours = found.get(node.kind, (0, None))
        found[node.kind] = (count + 1, hours if node.hours is None else (hours or 0.0) + node.hours)
    return found
