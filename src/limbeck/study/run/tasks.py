"""What is done for each kind of node: the files that its result consists of."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from limbeck.core.errors import DataError
from limbeck.core.files import write_json
from limbeck.core.options import settings_of
from limbeck.core.progress import say
from limbeck.evaluation import rerank
from limbeck.lists import Sampler
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.runs import Run, read_run, write_run
from limbeck.study.config.schema import Stage as StageConfig
from limbeck.study.config.study import Study
from limbeck.study.plan.plan import Cell, describe_cell, learning_rate, lists_per_step, settings, stated_steps
from limbeck.study.run.artifacts import Materials
from limbeck.study.run.evaluations import deeper_run, evaluate, evaluation_files, ranking_key, scored_before
from limbeck.study.run.graph import Node
from limbeck.study.run.leaks import search_leaks
from limbeck.study.run.store import Store
from limbeck.training import Stage, TrainingPlan, Validation, ValidationSettings, train
from limbeck.training.summary import EXITS, MODEL, finished, save_exit, save_untrained

if TYPE_CHECKING:
    from limbeck.study.run.work import Workshop


def _encode(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    task = node.task
    retriever = shop.study.sources.retriever(task["first_stage"])
    assert retriever is not None
    assert hasattr(retriever, "encode"), "only first stages with an encoder have such nodes"
    retriever.encode(shop.study.sources.collection(task["collection"]), task["shard"], task["shards"])
    return []  # in limbeck's cache, where all studies find it


def _run(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    shop.materials.console = console
    shop.materials.run(node.task["first_stage"], node.task["collection"], node.task["depth"])
    return [shop.store.run(node.key)]


def _teach(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    shop.materials.console = console
    return [shop.materials.teach(node.task["lists"], node.task["collection"], node.task["shard"])]


def _lists(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    shop.materials.console = console
    shop.materials.lists(node.task["lists"])
    return [shop.store.lists(node.key)]


def _leaks(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    shop.materials.console = console
    return search_leaks(shop.study, shop.materials, node.task["kind"], node.task["name"])


def _prefix(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    """Train the beginning of a cell, as a training of its own, for the state that it leaves."""
    cell, stages, shop.materials.console = cell_of(shop, node), node.task["stages"], console
    key = cell.prefix(stages)
    _expect(node.name == f"prefix/{key}", node)
    aside = shop.store.prefix_training(key)
    folders = {count: shop.store.prefix(cell.prefix(count)) for count in range(1, stages + 1)}
    training = training_plan(cell, shop.study, shop.materials).prefix(stages)
    train(training, aside, console, folders, halvings=node.halvings)
    return [path for path in sorted(folders[stages].rglob("*")) if path.is_file()]


def _cell(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    """Train a cell. Beginnings that others have in common with it are there already."""
    cell, shop.materials.console = cell_of(shop, node), console
    _expect(cell.id == node.key, node)
    folder = shop.store.cell(cell.id)
    write_json(folder / "cell.json", cell.description)
    set_state(shop.store, cell.id, status="running")
    if "exit_of" in node.task:
        if finished(folder)[0] is None:
            depth = shop.study.config.backbones[cell.backbone].layers
            assert depth is not None  # of an exit
            save_exit(shop.store.cell(node.task["exit_of"]), depth, folder)
    elif node.resources.processes > 1:
        _start_together(shop, node)
    elif finished(folder)[0] is None and not shop.study.config.recipes[cell.recipe]:
        backbone = shop.study.config.backbones[cell.backbone]
        save_untrained(backbone.trained_from(shop.study.sources.model_name(backbone.model)), folder)
    elif finished(folder)[0] is None:
        training = training_plan(cell, shop.study, shop.materials)
        set_state(shop.store, cell.id, status="running", steps=training.steps)
        counts = [need.task["stages"] for need in map(shop.graph.find, node.needs) if need.kind == "prefix"]
        most = max(counts, default=0)
        prefixes = {count: shop.store.prefix(cell.prefix(count)) for count in range(1, most + 1)}
        train(training, folder, console, prefixes, halvings=node.halvings)
    set_state(shop.store, cell.id, status="trained")
    models = sorted(path for name in (MODEL, EXITS) for path in (folder / name).rglob("*") if path.is_file())
    return [folder / "summary.json", *models]


def _score(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    """A shard of a long re-ranking: every so-many-th query."""
    shop.materials.console = console
    path = score_file(shop.store, node)
    if not path.exists():
        write_run(_reranked(shop, node, console, node.task["shard"], node.task["shards"]), path)
    return [path]


def _evaluate(shop: "Workshop", node: Node, console: Console) -> list[Path]:
    task, evaluation, shop.materials.console = node.task, shop.study.config.evaluation, console
    collection = shop.study.sources.collection(task["collection"])

    def ranked() -> Run:
        candidates = shop.materials.run(_first_stage(shop, node), task["collection"], evaluation.depth)
        if "teacher" in task:
            return shop.materials.teacher_run(task["teacher"], task["collection"], candidates)
        if "cell" not in task:
            return candidates
        if task["shards"] == 1:
            return _reranked(shop, node, console, 0, 1)
        scored = [need for need in map(shop.graph.find, node.needs) if need.kind == "score"]
        parts = [read_run(score_file(shop.store, need)) for need in scored]
        found = {query_id: ranking for part in parts for query_id, ranking in part.items()}
        return Run("rerank", {query_id: found[query_id] for query_id in collection.query_ids if query_id in found})

    folder = shop.store.evaluation(task.get("cell"), task["evaluation"])
    ranked_from = _first_stage(shop, node)
    ranking = ranking_key(shop.study, task["collection"], ranked_from) if "cell" in task else task["evaluation"]
    evaluate(folder, collection, evaluation.measures, ranked, ranking, evaluation.depth)
    return evaluation_files(folder)


def _first_stage(shop: "Workshop", node: Node) -> str:
    """Whose candidates an evaluation is of."""
    return str(node.task.get("first_stage") or shop.study.config.evaluation.first_stage)


def _reranked(shop: "Workshop", node: Node, console: Console, shard: int, shards: int) -> Run:
    evaluation, study, name = shop.study.config.evaluation, shop.study, node.task["collection"]
    collection = study.sources.collection(name)
    candidates = shop.materials.run(_first_stage(shop, node), name, evaluation.depth)
    if shards > 1:
        mine = [query_id for query_id in list(collection.query_ids)[shard::shards] if query_id in candidates]
        candidates = replace(candidates, rankings={query_id: candidates[query_id] for query_id in mine})
    folder = shop.store.evaluation(node.cell, node.task["evaluation"])
    deeper = deeper_run(folder, ranking_key(study, name, _first_stage(shop, node)), evaluation.depth)
    if deeper and (cut := scored_before(collection, candidates, deeper[1])):
        say(console, f"{node.label}: scores are those of the evaluation at depth {deeper[0]}")
        return cut
    encoder = _loaded(shop, node.task["cell"])
    return rerank(encoder, collection, candidates, evaluation.depth, evaluation.precision, console=console)


FUNCTIONS: Mapping[str, Callable[["Workshop", Node, Console], list[Path]]] = {
    "encode": _encode, "run": _run, "teach": _teach, "lists": _lists, "leaks": _leaks, "prefix": _prefix,
    "cell": _cell, "score": _score, "evaluate": _evaluate,
}  # fmt: skip


def score_file(store: Store, node: Node) -> Path:
    """Where a shard of a re-ranking is kept until all are one run."""
    return store.evaluation(node.cell, node.task["evaluation"]) / "shards" / f"{node.key}.run.gz"


def training_plan(cell: Cell, study: Study, materials: Materials) -> TrainingPlan:
    """A cell as `limbeck.training` takes it, with its lists and runs loaded."""
    config, sources = study.config, study.sources
    backbone = config.backbones[cell.backbone]
    validation = None
    if config.validation:
        first_stage = config.validation.first_stage or config.evaluation.first_stage
        sets = tuple(
            (sources.collection(name), materials.run(first_stage, name, config.validation.depth))
            for name in config.validation.collections
        )
        settings_given = {each.name: getattr(config.validation, each.name) for each in settings_of(ValidationSettings)}
        validation = Validation(sets=sets, **settings_given)
    return TrainingPlan(
        backbone=backbone.trained_from(sources.model_name(backbone.model)),
        stages=tuple(
            _stage(cell, study, materials, stage, number) for number, stage in enumerate(config.recipes[cell.recipe])
        ),
        collection=sources.training,
        seed=cell.seed,
        settings=settings(study),
        validation=validation,
    )


def _stage(cell: Cell, study: Study, materials: Materials, stage: StageConfig, number: int) -> Stage:
    lists, sample = materials.lists(stage.lists), study.sources.sample(stage.lists)
    steps, count = stated_steps(study, cell.backbone, stage), lists_per_step(study, cell.backbone, stage)
    if steps is None:
        steps = Sampler(lists, sample, count, cell.seed, number).steps(stage.epochs or 1)
    rate = learning_rate(study, cell.backbone, stage)
    return Stage(
        objective=parse(stage.objective),
        lists=lists,
        sample=sample,
        steps=steps,
        lists_per_step=count,
        learning_rate=rate,
        order=stage.order,
    )


def set_state(store: Store, cell_id: str, **state: object) -> None:
    """Replace a cell's state, but for its steps and the seconds spent on it so far."""
    kept = {key: value for key, value in store.state(cell_id).items() if key in ("seconds", "steps")}
    write_json(store.cell(cell_id) / "state.json", {**kept, **state})


def cell_of(shop: "Workshop", node: Node) -> Cell:
    task = node.task
    return describe_cell(shop.study, task["backbone"], task["recipe"], task["seed"])


def _expect(same: bool, node: Node) -> None:
    if not same:
        raise DataError(
            f"{node.name}: collections, lists or models are no longer what they were when the graph was made; run "
            "`limbeck study run` again, which makes it anew"
        )


_LOADED: dict[str, CrossEncoder] = {}


def _loaded(shop: "Workshop", cell_id: str) -> CrossEncoder:
    """A cell's model; the last one is kept, for the next collection that it is tested on."""
    folder = shop.store.cell(cell_id)
    key = str(folder.resolve())
    if key not in _LOADED:
        _LOADED.clear()
        node = shop.graph.find(f"cell/{cell_id}")
        backbone = shop.study.config.backbones[node.task["backbone"]]
        _LOADED[key] = CrossEncoder.load(
            folder / "model",
            max_length=backbone.pair_tokens,
            query_tokens=backbone.query_tokens,
            passage_tokens=backbone.passage_tokens,
        )
    return _LOADED[key]


def _start_together(shop: "Workshop", node: Node) -> None:
    """Train a cell in several processes of this machine; the hold on it stays with this one."""
    count = node.resources.processes
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command += ["-m", "limbeck", "study", "work", str(shop.store.folder), node.name]
    process = subprocess.Popen(command)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if status:
        raise RuntimeError(f"torchrun ended with {status}; what its processes said stands above")
