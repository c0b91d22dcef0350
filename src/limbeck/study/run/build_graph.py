"""From a planned study to its graph: which nodes there are, what each needs, and how long it takes."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from limbeck.core.json_files import key_of
from limbeck.core.progress import say
from limbeck.evaluation import canonical
from limbeck.study.config.resolver import BM25_NAME, DEPTH
from limbeck.study.config.schema import Exit, Stage
from limbeck.study.config.study import Study
from limbeck.study.plan.cost import NONE, CostEstimate, CostModel
from limbeck.study.plan.downloads import require_models
from limbeck.study.plan.plan import Cell, StudyPlan, describe_cell, plan_study
from limbeck.study.run.artifacts import PAIRS_OF_SHARD, lists_key, run_key, taught_keys
from limbeck.study.run.evaluations import cell_key, first_stage_key, teacher_key
from limbeck.study.run.graph import Graph, Node, write_graph
from limbeck.study.run.index import write_index
from limbeck.study.run.leaks import planned_searches
from limbeck.study.run.store import Store

TEXTS_OF_SHARD = 200_000
"""Documents that one node encodes."""


def build_graph(plan: StudyPlan) -> Graph:
    """The graph of a planned study, with planned hours: what several nodes need is there once."""
    return _Builder(plan).graph()


def prepare(study: Study, store: Store, console: Console) -> Graph:
    """Plan a study, and write down in its folder what work on its nodes needs to know."""
    require_models(study)
    plan = plan_study(study)
    write_index(plan, store)
    for warning in plan.warnings:
        say(console, f"warning: {warning}")
    graph = build_graph(plan)
    write_graph(graph, store)
    return graph


class _Builder:
    def __init__(self, plan: StudyPlan) -> None:
        self.plan, self.study, self.sources, self.config = plan, plan.study, plan.study.sources, plan.study.config
        self.costs = CostModel(plan.study)
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
        others = {
            (stage, name): self.run(stage, name, evaluation.depth)
            for stage in evaluation.other_first_stages
            for name in tests
        }
        for (stage, name), needed in others.items():
            key = first_stage_key(self.study, name, stage)
            self.evaluate(f"first-stage@{stage}", name, key, needed, first_stage=stage)
        keys = {name: cell_key(self.study, name) for name in tests}
        for cell in {cell.id: cell for cell in self.plan.cells}.values():
            trained = self.cell(cell, lists, validated)
            for name in tests:
                needs = {trained} | candidates[name]
                self.evaluate(cell.id, name, keys[name], needs, cell.backbone, cell.name, cell=cell.id)
            for (stage, name), needed in others.items():
                of, key, needs = f"{cell.id}@{stage}", cell_key(self.study, name, stage), {trained} | needed
                called = f"{cell.name} behind {stage}"
                self.evaluate(of, name, key, needs, cell.backbone, called, cell=cell.id, first_stage=stage)
        return Graph(self.study.name, str(self.study.path.resolve()), tuple(self.nodes.values()))

    def hours(self, work: Callable[[CostModel], CostEstimate], shards: int = 1) -> float | None:
        """Of a work on one GPU, at the rate that the study states; None where it states none or the work is unknown."""
        rate = self.config.compute.flops_per_second
        flops = work(self.costs).flops if rate else None
        return None if rate is None or flops is None else flops / rate / 3600 / shards

    def add(
        self, name: str, key: str, label: str, task: Mapping[str, Any], needs: Iterable[str] = (),
        hours: float | None = None,
    ) -> set[str]:  # fmt: skip
        """Add a node, unless it is there; a set of its name, to be needed."""
        if name not in self.nodes:
            # In the order of the graph, so that equal studies give equal files.
            order = sorted(set(needs), key=self.places.__getitem__)
            kind = name.partition("/")[0]
            resources = self.config.compute.of(kind)
            self.nodes[name] = Node(
                name=name, key=key, label=label, task=dict(task), needs=tuple(order), resources=resources,
                hours=hours,
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
        hours = self.hours(lambda costs: costs.encoding(first_stage, collection), shards)
        found: set[str] = set()
        for shard in range(shards):
            key = key_of(["encode", described, shard, shards])
            task = {"first_stage": first_stage, "collection": collection, "shard": shard, "shards": shards}
            label = f"{first_stage} encodes {collection}, {shard + 1} of {shards}"
            found |= self.add(f"encode/{key_of(described)}/{shard + 1}-of-{shards}", key, label, task, hours=hours)
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
        backbone = self.config.backbones[cell.backbone]
        if isinstance(backbone, Exit):
            whole = describe_cell(self.study, backbone.of, cell.recipe, cell.seed).id
            task |= {"cell": cell.id, "exit_of": whole}
            [name] = self.add(f"cell/{cell.id}", cell.id, cell.name, task, {f"cell/{whole}"}, hours=0.0)
            return name
        together = self.config.compute.of("cell").processes > 1
        before: set[str] = set()
        trained = 0  # stages
        for count, key in sorted(({} if together else self.plan.prefixes(cell)).items()):
            needs = before.union(validated, *(lists[stage.lists] for stage in stages[:count]))
            label = f"{cell.name}, shared prefix ({count} of {len(stages)} stages)"
            hours = self.hours(partial(_training, cell.backbone, stages[trained:count]))
            before = self.add(f"prefix/{key}", key_of(["prefix", key]), label, {**task, "stages": count}, needs, hours)
            trained = count
        needs = before.union(validated if stages else (), *(lists[stage.lists] for stage in stages))
        rest = stages[trained:]
        hours = self.hours(
            lambda costs: _training(cell.backbone, rest, costs) + costs.validation(cell.backbone, cell.recipe)
        )
        [name] = self.add(f"cell/{cell.id}", cell.id, cell.name, {**task, "cell": cell.id}, needs, hours)
        return name

    def evaluate(
        self, of: str, collection: str, evaluation: str, needs: set[str], backbone: str | None = None,
        called: str | None = None, **task: str,
    ) -> None:  # fmt: skip
        """One ranker on one test collection, its re-ranking in shards where it is long. A cell's has a `backbone`.

        Where nobody would know the ranker by `of`, it is `called` otherwise.
        """
        hours = self.hours(lambda costs: costs.evaluation_of(backbone, collection)) if backbone else None
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
            label = f"{called or of} scores {collection}, {shard + 1} of {shards}"
            part = None if hours is None else hours / shards
            scored |= self.add(name, key, label, {**task, "shard": shard, "shards": shards}, needs, part)
        own: dict[str, Any] = {**task, "shards": shards}
        key = key_of(["evaluate", described, self.measures])
        rest = 0.0 if scored and hours is not None else hours
        self.add(f"evaluate/{of}/{collection}", key, f"{called or of} on {collection}", own, scored or needs, rest)


def _training(backbone: str, stages: Sequence[Stage], costs: CostModel) -> CostEstimate:
    return sum((costs.stage(backbone, stage) for stage in stages), NONE)
