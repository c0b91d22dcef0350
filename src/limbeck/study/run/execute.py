"""Execution: from a cell to its finished folder, and from a study to all its cells."""

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_json, write_text
from limbeck.evaluation import canonical, rerank, suite_means
from limbeck.lists import Sampler
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.runs import Run
from limbeck.study.config.schema import Stage as StageConfig
from limbeck.study.config.study import Study
from limbeck.study.plan.plan import Cell, StudyPlan, learning_rate, lists_per_step, plan_study, settings, stated_steps
from limbeck.study.run.artifacts import Materials
from limbeck.study.run.check_models_available import require_models
from limbeck.study.run.evaluate import evaluate, means
from limbeck.study.run.index import cell_key, first_stage_key, teacher_key, write_index
from limbeck.study.run.leaks import search_leaks
from limbeck.study.run.run_record import Invocation
from limbeck.study.run.status import is_done
from limbeck.study.run.store import Store
from limbeck.training import Backbone, Stage, TrainingPlan, Validation, train

SHOWN = 4
"""Test collections of which a finished cell's progress line shows each value."""

Means = dict[str, dict[str, float]]
"""Test collection → measure → mean over its queries."""


def run_study(study: Study, output: str | Path, console: Console | None = None) -> dict[str, int]:
    """Run what is missing of a study into `output`.

    A cell that fails is recorded and the others go on; the next call tries it again. Interrupted at any moment, the
    same call goes on from there. Cells that another process is running into the same folder are left to it.

    Returns:
        how many cells were finished before (`kept`), finished now (`done`), `failed` now, and were left to another
        process (`elsewhere`); together, all cells.

    Raises:
        LimbeckError: what all cells share cannot be had.
        KeyboardInterrupt: on Ctrl-C, with the cell at hand resumable.
    """
    console = console or Console(quiet=True)
    require_models(study)
    store = Store(output)
    plan = plan_study(study)
    write_index(plan, store)
    for warning in plan.warnings:
        console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    materials = Materials(study.sources, store, console)
    invocation = None if all(_is_done(cell, study, store) for cell in plan.cells) else Invocation(store)
    _evaluate_shared(study, store, materials)
    search_leaks(study, materials)
    counts = {"kept": 0, "done": 0, "failed": 0, "elsewhere": 0}
    for number, cell in enumerate(plan.cells, 1):
        label = f"[{number}/{len(plan.cells)}] {cell.name}"
        if _is_done(cell, study, store):
            counts["kept"] += 1
            continue
        with store.claim(cell.id) as mine:
            result = _attempt(cell, plan, materials, console, label) if mine else "elsewhere"
        if not mine:
            console.print(f"{label}: another process is running it", markup=False, highlight=False, soft_wrap=True)
        counts[result] += 1
        if invocation:
            invocation.note(cell.id, result)
    if counts["kept"] + counts["done"] == len(plan.cells):
        store.drop_prefixes()
    return counts


def execute(cell: Cell, plan: StudyPlan, materials: Materials, console: Console) -> Means:
    """Finish one cell: train it, re-rank every test collection with it, and measure. What is there already is kept.

    First stages that it has in common with other cells are trained by whichever comes first.
    """
    study, store = plan.study, materials.store
    folder = store.cell(cell.id)
    write_json(folder / "cell.json", cell.description)
    if not (folder / "summary.json").exists():
        training = training_plan(cell, study, materials)
        _set_state(store, cell, status="running", steps=training.steps)
        prefixes = {stages: store.prefix(key) for stages, key in plan.prefixes(cell).items()}
        train(training, folder, console, prefixes)
    evaluation = study.config.evaluation
    encoder: list[CrossEncoder] = []
    found = {}
    for name in study.config.collections.test:

        def rank(name: str = name) -> Run:
            if not encoder:
                encoder.append(_load(cell, study, folder))
            run = materials.run(evaluation.first_stage, name, evaluation.depth)
            collection = study.sources.collection(name)
            return rerank(encoder[0], collection, run, evaluation.depth, evaluation.precision, console=console)

        place = store.evaluation(cell.id, cell_key(study, cell, name))
        kept = evaluate(place, study.sources.collection(name), evaluation.measures, rank)
        found[name] = means(kept, evaluation.measures)
    return found


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
        validation = Validation(
            sets=sets,
            measure=config.validation.measure,
            every=config.validation.every,
            depth=config.validation.depth,
            best_so_far=config.validation.best_so_far,
        )
    return TrainingPlan(
        backbone=Backbone(
            model=sources.model_name(backbone.model),
            layers=backbone.layers,
            max_length=backbone.max_length,
            query_tokens=backbone.query_tokens,
            dropout=backbone.dropout,
            sha256=backbone.sha256,
            single_separator=backbone.single_separator,
        ),
        stages=tuple(
            _stage(cell, study, materials, stage, number) for number, stage in enumerate(config.recipes[cell.recipe])
        ),
        collection=sources.training,
        seed=cell.seed,
        settings=settings(study),
        validation=validation,
    )


def _is_done(cell: Cell, study: Study, store: Store) -> bool:
    keys = [cell_key(study, cell, name) for name in study.config.collections.test]
    return is_done(store, cell.id, keys, [canonical(measure) for measure in study.config.evaluation.measures])


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
    )


def _attempt(cell: Cell, plan: StudyPlan, materials: Materials, console: Console, label: str) -> str:
    """Run a cell and record what became of it: "done" or "failed"."""
    began = time.monotonic()
    store = materials.store
    console.print(f"{label}: started", markup=False, highlight=False, soft_wrap=True)
    _set_state(store, cell, status="running")
    with suppress(FileNotFoundError):
        (store.cell(cell.id) / "error.txt").unlink()
    try:
        found = execute(cell, plan, materials, console)
    except KeyboardInterrupt:
        _set_state(store, cell, status="interrupted")
        raise
    except LimbeckError as error:
        text = str(error)
    # Whatever goes wrong in one cell must not cost the others; its traceback is kept for whoever mends it.
    except Exception as error:
        path = store.cell(cell.id) / "error.txt"
        write_text(path, traceback.format_exc())
        text = f"{type(error).__name__}: {error} (traceback in {path})"
    else:
        seconds = time.monotonic() - began
        _set_state(store, cell, status="done", seconds=round(store.state(cell.id).get("seconds", 0.0) + seconds, 2))
        text = f"{label}: {_outcome(found)} ({seconds:.1f} s)"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
        return "done"
    _set_state(store, cell, status="failed", error=text)
    console.print(f"{label}: failed: {text}", markup=False, highlight=False, soft_wrap=True)
    return "failed"


def _outcome(found: dict[str, dict[str, float]]) -> str:
    """The first measure's means; of many collections only the averages over their suites."""
    measure = next(iter(next(iter(found.values()))))
    values = {name: of[measure] for name, of in found.items()}
    shown = values if len(values) <= SHOWN else suite_means(values) or values
    return f"{measure} " + ", ".join(f"{name} {value:.4f}" for name, value in shown.items())


def _set_state(store: Store, cell: Cell, **state: object) -> None:
    """Replace a cell's state, but for the seconds spent on it so far."""
    kept = {key: value for key, value in store.state(cell.id).items() if key in ("seconds", "steps")}
    write_json(store.cell(cell.id) / "state.json", {**kept, **state})


def _load(cell: Cell, study: Study, folder: Path) -> CrossEncoder:
    backbone = study.config.backbones[cell.backbone]
    return CrossEncoder.load(folder / "model", max_length=backbone.max_length, query_tokens=backbone.query_tokens)


def _evaluate_shared(study: Study, store: Store, materials: Materials) -> None:
    """Measure the first stage and every teacher that scores on the test collections."""
    evaluation = study.config.evaluation
    for name in study.config.collections.test:
        collection = study.sources.collection(name)

        def candidates(name: str = name) -> Run:
            return materials.run(evaluation.first_stage, name, evaluation.depth)

        evaluate(store.evaluation(None, first_stage_key(study, name)), collection, evaluation.measures, candidates)
        for teacher in study.sources.scoring_teachers:

            def taught(name: str = name, teacher: str = teacher, candidates: Callable[[], Run] = candidates) -> Run:
                return materials.teacher_run(teacher, name, candidates())

            place = store.evaluation(None, teacher_key(study, teacher, name))
            evaluate(place, collection, evaluation.measures, taught)
