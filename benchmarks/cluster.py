"""A study's graph on many GPUs: simulated, held against a real run, and planned at ten thousand nodes.

    python benchmarks/cluster.py simulate studies/paper.yaml --flops-per-second 1.2e14
    python benchmarks/cluster.py check OUT            a folder that `study run --on local:N` has just filled
    python benchmarks/cluster.py scale FOLDER         10,000 nodes: seconds to plan them and to show their status

The simulation is that of list scheduling: whenever a GPU is free, it takes the ready node with the longest way to the
end of the study, as limbeck's executors do. A node's hours are the plan's; every node also costs START_SECONDS for
starting a process and reading its inputs. What is not on the GPU (BM25, lists, searches for leaks) takes no GPU here
and as long as is stated below.
"""

import argparse
import heapq
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.core.lease import BEATS, DEFAULT_SECONDS
from limbeck.study.config.schema import Resources
from limbeck.study.config.study import Study, load_study
from limbeck.study.plan.cost import CostModel
from limbeck.study.run.artifacts import PAIRS_OF_SHARD
from limbeck.study.run.build_graph import TEXTS_OF_SHARD, build_graph
from limbeck.study.run.graph import GPU_KINDS, Graph, Node, read_graph, write_graph
from limbeck.study.run.store import Store

START_SECONDS = 20.0
CPU_HOURS = {"run": 0.2, "lists": 0.5, "leaks": 0.2}
ENCODED_A_SECOND = 2_000
"""Passages of 100 tokens that a DistilBERT encodes on one GPU in a second; the plan knows no such rate."""
DOCUMENTS = {"msmarco-passage": 8_841_823}
"""Of the collection whose encoding is divided; all others are less than a tenth of it."""
OPERATIONS = {"start": 14, "beat": 4, "end": 6}
"""Operations on files of the shared folder: at the begin of an attempt, at each touch of its lease, and at its end.
Counted, as the next, with `strace -f -e trace=%file` of one `study work`, paths in the study's folder."""
RESULTS = {"cell": 180, "evaluate": 140}
"""Operations on a node's own inputs and results, without the checkpoints of a long training; 20 for other kinds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, dest="verb")
    simulation = verbs.add_parser("simulate")
    simulation.add_argument("study", type=Path)
    simulation.add_argument("--flops-per-second", type=float, default=1.2e14)
    simulation.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64, 512])
    verbs.add_parser("check").add_argument("output", type=Path)
    verbs.add_parser("scale").add_argument("folder", type=Path)
    given = parser.parse_args()
    found: Any
    if given.verb == "simulate":
        graph = nominal_graph(load_study(given.study, with_files=False), given.flops_per_second)
        found = {"nodes": len(graph.nodes), "rows": [simulate(graph, gpus) for gpus in given.gpus]}
    else:
        found = check(given.output) if given.verb == "check" else scale(given.folder)
    json.dump(found, sys.stdout, indent=1)
    print()


def simulate(graph: Graph, gpus: int, hours: Mapping[str, float] | None = None, start: float = START_SECONDS) -> Any:
    """Makespan, critical path, share of idle GPU time, and operations on files a second, of a graph on so many GPUs."""
    length = {node.name: (hours or {}).get(node.name, _hours(node)) + start / 3600 for node in graph.nodes}
    rank: dict[str, float] = {}
    for node in reversed(graph.nodes):
        after = (rank[follower.name] for follower in graph.followers[node.name])
        rank[node.name] = length[node.name] + max(after, default=0.0)
    waits = {node.name: len(node.needs) for node in graph.nodes}
    ready = [(-rank[node.name], node.name) for node in graph.nodes if not node.needs]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    free, now, busy = gpus, 0.0, 0.0
    set_aside: list[tuple[float, str]] = []
    while ready or running:
        while ready:
            key, name = heapq.heappop(ready)
            takes = int(graph.by_name[name].kind in GPU_KINDS)
            if takes > free:
                set_aside.append((key, name))
                if len(set_aside) > gpus:
                    break
                continue
            free -= takes
            busy += takes * length[name]
            heapq.heappush(running, (now + length[name], name))
        for entry in set_aside:
            heapq.heappush(ready, entry)
        set_aside = []
        now, name = heapq.heappop(running)
        free += int(graph.by_name[name].kind in GPU_KINDS)
        for follower in graph.followers[name]:
            waits[follower.name] -= 1
            if not waits[follower.name]:
                heapq.heappush(ready, (-rank[follower.name], follower.name))
    beats = sum(length.values()) * 3600 / (DEFAULT_SECONDS / BEATS)
    each = OPERATIONS["start"] + OPERATIONS["end"]
    operations = beats * OPERATIONS["beat"] + sum(each + RESULTS.get(node.kind, 20) for node in graph.nodes)
    return {
        "gpus": gpus,
        "makespan_hours": round(now, 3),
        "critical_path_hours": round(max(rank.values()), 3),
        "gpu_hours": round(busy, 1),
        "idle_share": round(1 - busy / (now * gpus), 3),
        "operations_per_second": round(operations / (now * 3600), 2),
    }


def nominal_graph(study: Study, rate: float) -> Graph:
    """A study's graph without its collections: names stand for content keys, sizes and hours are the plan's."""
    model, config, nodes = CostModel(study), study.config, {}

    def add(name: str, needs: set[str], hours: float | None = None, **task: Any) -> set[str]:
        if name not in nodes:
            nodes[name] = Node(
                name=name, key=name, label=name, task=task, needs=tuple(sorted(needs)), resources=Resources(),
                hours=hours,
            )  # fmt: skip
        return {name}

    def run(first_stage: str, collection: str) -> set[str]:
        if first_stage == "bm25":
            return add(f"run/{collection}", set())
        base = next((key for key in DOCUMENTS if collection.startswith(key)), None)
        needs: set[str] = set()
        for shard in range(math.ceil(DOCUMENTS[base] / TEXTS_OF_SHARD) if base else 0):
            needs |= add(f"encode/{base}/{shard}", set(), TEXTS_OF_SHARD / ENCODED_A_SECOND / 3600)
        return add(f"run/{first_stage}/{collection}", needs)

    lists = {name: add(f"lists/{name}", set()) for name in config.lists}
    for name, made in lists.items():
        add(f"leaks/{name}", made)
    validated: set[str] = set()
    if config.validation:
        stage = config.validation.first_stage or config.evaluation.first_stage
        for name in config.validation.collections:
            validated |= run(stage, name)
    for backbone in config.backbones:
        for recipe, stages in config.recipes.items():
            trained = _flops_hours(model.training(backbone, recipe).flops, rate)
            hours = trained + _flops_hours(model.validation(backbone, recipe).flops, rate)
            for seed in config.seeds:
                cell = f"{backbone}.{recipe}.{seed}"
                needs = validated.union(*(lists[stage.lists] for stage in stages))
                mine = add(f"cell/{cell}", needs, hours, cell=cell)
                for name in config.collections.test:
                    whole = _flops_hours(model.evaluation_of(backbone, name).flops, rate)
                    pairs = (model.queries(name) or 0) * config.evaluation.depth
                    shards = max(1, math.ceil(pairs / PAIRS_OF_SHARD))
                    needs = mine | run(config.evaluation.first_stage, name)
                    scored: set[str] = set()
                    for shard in range(shards if shards > 1 else 0):
                        scored |= add(f"score/{cell}/{name}/{shard}", needs, whole / shards, cell=cell)
                    add(f"evaluate/{cell}/{name}", scored or needs, 0.0 if scored else whole, cell=cell)
    return Graph(study.name, str(study.path), tuple(nodes.values()))


def check(output: Path) -> Any:
    """A real run beside its simulation with the same lengths: so many processes as it had at work at once."""
    graph = read_graph(Store(output))
    spans: dict[str, tuple[float, float]] = {}
    for path in output.glob("attempts/*/*.json"):
        record = json.loads(path.read_text())
        if record.get("status") == "done" and record.get("node") in graph.by_name:
            spans[record["node"]] = (record["began"], record["ended"])
    events = sorted([(began, 1) for began, _ in spans.values()] + [(ended, -1) for _, ended in spans.values()])
    level = most = 0
    for _, change in events:
        level += change
        most = max(most, level)
    took = max(ended for _, ended in spans.values()) - min(began for began, _ in spans.values())
    # Here all kinds take one of the processes, as they do on a machine without GPUs.
    everything = Graph(graph.name, graph.study, tuple(_on_gpu(node) for node in graph.nodes))
    hours = {f"cell/{name}": (ended - began) / 3600 for name, (began, ended) in spans.items()}
    found = simulate(everything, most, hours, start=0.0)
    return {
        "nodes": len(spans),
        "processes": most,
        "real_seconds": round(took, 2),
        "simulated_seconds": round(found["makespan_hours"] * 3600, 2),
        "critical_path_seconds": round(found["critical_path_hours"] * 3600, 2),
    }


def scale(folder: Path) -> Any:
    """400 cells on 24 collections, planned from their files; then all nodes done, and their status."""
    import yaml

    from limbeck.study.plan.plan import plan_study
    from limbeck.study.run.index import write_index
    from limbeck.study.run.status import status

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "study"))
    import conftest  # type: ignore[import-not-found]

    for number in range(24):
        conftest.write_collection(folder / f"mini{number}")
    conftest.write_model(folder / "bert")
    values = conftest.tiny_study()
    values["collections"] = {"train": "mini0/train", "test": [f"mini{number}/test" for number in range(24)]}
    del values["validation"], values["teachers"], values["lists"]["taught"]
    stage = {"objective": "BCE", "lists": "judged", "lists_per_step": 2}
    values["recipes"] = {f"BCE-{steps}": [{**stage, "steps": steps}] for steps in range(1, 21)}
    values["seeds"] = 20
    (folder / "study.yaml").write_text(yaml.safe_dump(values))
    study, store = load_study(folder / "study.yaml"), Store(folder / "out")
    with _Timed() as planning:
        plan = plan_study(study)
        write_index(plan, store)
        graph = build_graph(plan)
        write_graph(graph, store)
    for node in graph.nodes:
        files = {name: _write(store.folder / name) for name in _result(store, node)}
        path = store.attempts / node.key[:2] / f"{node.key}.1.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"node": node.name, "host": "n1", "began": 1.0, "ended": 2.0, "status": "done", "files": files}
        path.write_text(json.dumps(record))
    with _Timed() as looking:
        facts = status(store.folder)
    return {
        "nodes": len(graph.nodes),
        "node_counts": facts["node_counts"],
        "to_plan": planning.seconds,
        "status": looking.seconds,
    }


class _Timed:
    """Seconds of this process, and of the clock, which others on the machine lengthen."""

    def __enter__(self) -> "_Timed":
        self.began = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        now = time.process_time(), time.perf_counter()
        of = ("processor", "clock")
        self.seconds = {name: round(b - a, 2) for name, a, b in zip(of, self.began, now, strict=True)}


def _result(store: Store, node: Node) -> list[str]:
    """The files that a node's result consists of: as many as real ones do."""
    if node.kind == "cell":
        names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
        paths = [store.cell(node.key) / name for name in ("summary.json", *(f"model/{each}" for each in names))]
    elif node.kind == "evaluate":
        folder = store.evaluation(node.cell, node.task["evaluation"])
        paths = [folder / "run.gz", folder / "values.json"]
    else:
        paths = [store.run(node.key)]
    return [str(path.relative_to(store.folder)) for path in paths]


def _write(path: Path) -> list[int | str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"{}")
    return [2, path.stat().st_mtime_ns, "unread"]


def _hours(node: Node) -> float:
    return CPU_HOURS.get(node.kind, 0.0) if node.hours is None else node.hours


def _flops_hours(flops: float | None, rate: float) -> float:
    return (flops or 0.0) / rate / 3600


def _on_gpu(node: Node) -> Node:
    from dataclasses import replace

    return replace(node, name=f"cell/{node.name}", needs=tuple(f"cell/{need}" for need in node.needs))


if __name__ == "__main__":
    main()
