"""A study as a graph of nodes: what there is to do, what each needs, and what it takes to do it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from limbeck.core.errors import MissingError, UsageError, nearest
from limbeck.core.files import write_json
from limbeck.core.hashing import key_of
from limbeck.core.json_files import Schema, read_json
from limbeck.evaluation import canonical
from limbeck.study.config.resolver import BM25_NAME, DEPTH
from limbeck.study.config.schema import Resources
from limbeck.study.config.study import Study, parse_study
from limbeck.study.plan.plan import Cell, StudyPlan
from limbeck.study.run.artifacts import PAIRS_OF_SHARD, lists_key, run_key, taught_keys
from limbeck.study.run.hours import planned_hours
from limbeck.study.run.index import cell_key, first_stage_key, teacher_key
from limbeck.study.run.leaks import planned_searches
from limbeck.study.run.store import Store

TEXTS_OF_SHARD = 200_000
"""Documents that one node encodes."""
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
    if not store.graph.exists():
        raise MissingError(f"{store.folder}: holds no study; expected the --output of `limbeck study run`")
    found = read_json(store.graph, {"name": str, "study": str, "nodes": [_NODE]}, REMEDY)
    nodes = tuple(
        Node(
            name=node["name"], key=node["key"], label=node["label"], task=node["task"], needs=tuple(node["needs"]),
            resources=Resources(**node["resources"]), hours=node["hours"],
        )
        for node in found["nodes"]
    )  # fmt: skip
    return Graph(found["name"], found["study"], nodes)


def read_study(graph: Graph, store: Store) -> Study:
    """The study of an output folder as it was when its graph was made, whatever became of its file since."""
    return parse_study(store.study.read_text(encoding="utf-8"), Path(graph.study))


def build_graph(plan: StudyPlan) -> Graph:
    """The graph of a planned study, with planned hours: what several nodes need is there once."""
    return _Builder(plan).graph()


class _Builder:
    def __init__(self, plan: StudyPlan) -> None:
        self.plan, self.study, self.sources, self.config = plan, plan.study, plan.study.sources, plan.study.config
        self.hours = planned_hours(plan)
        self.nodes: dict[str, Node] = {}
        self.places: dict[str, int] = {}
        self.measures = list(dict.fromkeys(canonical(measure) for measure in self.config.evaluation.measures))

    def graph(self) -> Graph:
        evaluation = self.config.evaluation
        tests = list(dict.fromkeys(self.config.collections.test))
        candidates = {name: self.run(evaluation.first_stage, name, evaluation.depth) for name in tests}
        for name in tests:
            self.evaluate("first-stage", name, first_stage_key(self.study, name), candidates[name])
            for teacher in self.sources.scoring_teachers:
                self.evaluate(teacher, name, teacher_key(self.study, teacher, name), candidates[name], teacher=teacher)
        stages = [stage for recipe in self.config.recipes.values() for stage in recipe]
        lists = {name: self.lists(name) for name in dict.fromkeys(stage.lists for stage in stages)}
        self.leaks(lists)
        validation = self.config.validation
        validated: set[str] = set()
        if validation:
            first_stage = validation.first_stage or evaluation.first_stage
            for name in validation.collections:
                validated |= self.run(first_stage, name, validation.depth)
        keys = {name: cell_key(self.study, name) for name in tests}
        for cell in {cell.id: cell for cell in self.plan.cells}.values():
            trained = self.cell(cell, lists, validated)
            for name in tests:
                self.evaluate(cell.id, name, keys[name], {trained} | candidates[name], cell=cell.id)
        return Graph(self.study.name, str(self.study.path.resolve()), tuple(self.nodes.values()))

    def add(self, name: str, key: str, label: str, task: Mapping[str, Any], needs: Iterable[str] = ()) -> set[str]:
        """Add a node, unless it is there; a set of its name, to be needed."""
        if name not in self.nodes:
            # In the order of the graph, so that equal studies give equal files.
            order = sorted(set(needs), key=self.places.__getitem__)
            kind = name.partition("/")[0]
            resources = self.config.compute.of(kind)
            self.nodes[name] = Node(
                name=name, key=key, label=label, task=dict(task), needs=tuple(order), resources=resources,
                hours=self.hours.get(name),
            )  # fmt: skip
            self.places[name] = len(self.places)
        return {name}

    def run(self, first_stage: str, collection: str, depth: int) -> set[str]:
        """The nodes behind a first stage's candidates; none where their file is given."""
        fusion, retriever = self.sources.fusion(first_stage), self.sources.retriever(first_stage)
        if not (fusion or retriever):
            return set()
        needs: set[str] = set()
        if fusion:
            for part in self.sources.fused(first_stage):
                needs |= self.run(part, collection, depth)
        elif self.sources.first_stage(first_stage).encoder:
            needs |= self.encode(first_stage, collection)
        key = run_key(self.sources, first_stage, collection, depth)
        task = {"first_stage": first_stage, "collection": collection, "depth": depth}
        return self.add(f"run/{key}", key, f"{first_stage} on {collection}, depth {depth}", task, needs)

    def encode(self, first_stage: str, collection: str) -> set[str]:
        """The shards of a collection's documents; none where one node may as well encode what it retrieves from."""
        loaded = self.sources.collection(collection)
        shards = math.ceil(len(loaded.documents) / TEXTS_OF_SHARD)
        if shards <= 1:
            return set()
        described = [self.sources.candidates(first_stage, collection), loaded.documents_fingerprint]
        found: set[str] = set()
        for shard in range(shards):
            key = key_of(["encode", described, shard, shards])
            task = {"first_stage": first_stage, "collection": collection, "shard": shard, "shards": shards}
            label = f"{first_stage} encodes {collection}, {shard + 1} of {shards}"
            found |= self.add(f"encode/{key_of(described)}/{shard + 1}-of-{shards}", key, label, task)
        return found

    def lists(self, name: str) -> set[str]:
        source = self.config.lists[name]
        if source.format == "limbeck":
            return set()
        key = lists_key(self.sources, name)
        if f"lists/{key}" in self.nodes:
            return {f"lists/{key}"}
        needs: set[str] = set()
        for collection in self.sources.listed(name):
            made: set[str] = set()
            if not source.path:
                depth = self.sources.depth(name) or DEPTH
                made = self.run(source.first_stage or BM25_NAME, collection, depth)
            needs |= made
            if source.teacher:
                needs |= self.teach(name, collection, made)
        return self.add(f"lists/{key}", key, f"lists {name}", {"lists": name}, needs)

    def teach(self, name: str, collection: str, needs: set[str]) -> set[str]:
        """The shards of a teacher's work on one training collection's candidates."""
        source = self.config.lists[name]
        found: set[str] = set()
        keys = taught_keys(self.sources, name, collection)
        for shard, key in enumerate(keys):
            task = {"lists": name, "collection": collection, "shard": shard, "shards": len(keys)}
            part = f"{shard + 1}-of-{len(keys)}"
            of_shards = f", {shard + 1} of {len(keys)}" if len(keys) > 1 else ""
            label = f"{source.teacher} teaches {name} on {collection}{of_shards}"
            found |= self.add(f"teach/{keys[0]}/{part}", key, label, task, needs)
        return found

    def leaks(self, lists: Mapping[str, set[str]]) -> None:
        searched: dict[tuple[str, str], list[str]] = {}
        for search in planned_searches(self.study):
            searched.setdefault((search["kind"], search["name"]), []).append(search["key"])
        for (kind, name), keys in searched.items():
            needs = lists[name] if kind == "lists" else set()
            task = {"kind": kind, "name": name}
            self.add(f"leaks/{kind}/{name}", key_of(["leaks", keys]), f"leaks in {kind} {name}", task, needs)

    def cell(self, cell: Cell, lists: Mapping[str, set[str]], validated: set[str]) -> str:
        stages = self.config.recipes[cell.recipe]
        task = {"backbone": cell.backbone, "recipe": cell.recipe, "seed": cell.seed}
        together = self.config.compute.of("cell").processes > 1
        before: set[str] = set()
        for count, key in sorted(({} if together else self.plan.prefixes(cell)).items()):
            needs = before.union(validated, *(lists[stage.lists] for stage in stages[:count]))
            label = f"{cell.name}, shared prefix ({count} of {len(stages)} stages)"
            before = self.add(f"prefix/{key}", key_of(["prefix", key]), label, {**task, "stages": count}, needs)
        needs = before.union(validated, *(lists[stage.lists] for stage in stages))
        [name] = self.add(f"cell/{cell.id}", cell.id, cell.name, {**task, "cell": cell.id}, needs)
        return name

    def evaluate(self, of: str, collection: str, evaluation: str, needs: set[str], **task: str) -> None:
        """One ranker on one test collection, its re-ranking in shards where it is long."""
        described = [task.get("cell"), evaluation]
        shards = 1
        if "cell" in task:
            queries = len(self.sources.collection(collection).query_ids)
            shards = max(1, math.ceil(queries * self.config.evaluation.depth / PAIRS_OF_SHARD))
        task = {**task, "collection": collection, "evaluation": evaluation}
        scored: set[str] = set()
        for shard in range(shards if shards > 1 else 0):
            key = key_of(["score", described, shard, shards])
            name = f"score/{of}/{collection}/{shard + 1}-of-{shards}"
            label = f"{of} scores {collection}, {shard + 1} of {shards}"
            scored |= self.add(name, key, label, {**task, "shard": shard, "shards": shards}, needs)
        own: dict[str, Any] = {**task, "shards": shards}
        key = key_of(["evaluate", described, self.measures])
        self.add(f"evaluate/{of}/{collection}", key, f"{of} on {collection}", own, scored or needs)


def hours_by_kind(graph: Graph) -> dict[str, tuple[int, float | None]]:
    """Kind → its nodes, and the hours of those whose hours the plan tells; None where it tells none."""
    found: dict[str, tuple[int, float | None]] = {}
    for node in graph.nodes:
        count, hours = found.get(node.kind, (0, None))
        found[node.kind] = (count + 1, hours if node.hours is None else (hours or 0.0) + node.hours)
    return found
