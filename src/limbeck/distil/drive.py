"""A distillation from its beginning to its recommendation. All it makes stays in its folder, so that it can go on."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from shlex import join
from statistics import median
from typing import Any

from rich.console import Console

from limbeck.collections import Collection, load_collection
from limbeck.core.errors import DataError, UsageError
from limbeck.core.files import lock_holder, locked, write_json
from limbeck.distil.budget import DistilSettings
from limbeck.distil.plan import AGREEMENT, PLAN, STUDY, Plan, announce, commands_of, make_plan
from limbeck.distil.recommend import (
    FIRST_STAGE,
    READY,
    STUDENT,
    TEACHER,
    System,
    advise,
    mean,
    on_test,
    systems,
    unjudged,
)
from limbeck.evaluation import rerank
from limbeck.evaluation.calibration import calibrate, facts_of
from limbeck.models.bi_encoder import BiEncoder
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run, read_run, write_run
from limbeck.serve.config import LatencySettings
from limbeck.serve.latency import cores, measure_latency
from limbeck.study.config.study import load_study
from limbeck.study.run.execute import run_study
from limbeck.study.run.store import Store


def distil(collection: str, output: Path, settings: DistilSettings, console: Console | None = None) -> dict[str, Any]:
    """Make the best re-ranker for a collection that this machine can make in a given time, and say what it is worth.

    Interrupted at any moment, the same call goes on.

    Returns:
        what `distil.json` holds: `plan`; `model`, its folder; `calibration`; `milliseconds` that each ranker adds to a
        query; `commands`; `systems`, the best first, with their means on the queries that choose and on the test
        queries, and their `milliseconds`; `advice`, and how to `use` what it recommends, and its `cost`. Without
        judgments, `agreement` with the teacher stands in the place of `systems`, `use` and `cost`.

    Raises:
        UsageError: `output` holds another distillation or something else; the minutes are too few.
        LimbeckError: collection or models cannot be had; the training failed.
    """
    console = console or Console(quiet=True)
    models = {name: getattr(settings, name) for name in ("teacher", "student", "reranker")}
    places = {name: os.path.abspath(model) for name, model in models.items() if model and Path(model).is_dir()}
    settings = replace(settings, **places)  # the study file lies elsewhere
    with _held(output):
        plan = make_plan(collection, output, settings, console)
        announce(plan, output, console)
        counts = run_study(load_study(output / STUDY), output / "study", console)
        if counts["failed"] or counts["elsewhere"]:
            raise DataError(f"the student is not trained; `limbeck study status {output / 'study'}` says why")
        facts = _conclude(plan, output, console)
        write_json(output / "distil.json", facts)
    return facts


@contextmanager
def _held(output: Path) -> Iterator[None]:
    """Let one distillation at a time write into a folder, and into none that something else is in.

    Raises:
        UsageError: another process distils there, or the folder holds other files.
    """
    lock, own = output / ".lock", {PLAN, STUDY, AGREEMENT, "runs"}
    if not {PLAN, STUDY} <= (found := {path.name for path in output.glob("[!.]*")}) and (others := found - own):
        raise UsageError(f"{output}: is not empty, and holds no distillation (there is {min(others)}); name another")
    with locked(lock) as mine:
        if not mine:
            raise UsageError(f"{output}: {lock_holder(lock)}, distils there; wait for it, or name another --output")
        yield


def _conclude(plan: Plan, output: Path, console: Console) -> dict[str, Any]:
    """What the study found, fused, calibrated, timed and said in words."""
    names = {"valid": str(output / plan.valid) if plan.valid == AGREEMENT else plan.valid}
    names |= {"test": plan.test} if plan.test else {}
    collections = {key: load_collection(name) for key, name in names.items()}
    runs = {key: _rankings(plan, key, each, output, console) for key, each in collections.items()}
    model = _final_model(plan, collections["valid"], runs["valid"][STUDENT], output, console)
    milliseconds = _costs(plan, collections["valid"], runs["valid"], output, console)
    facts: dict[str, Any] = {
        "plan": asdict(plan), "model": str(output / "model"), "calibration": model.calibration,
        "milliseconds": milliseconds, "commands": commands_of(plan, output),
    }  # fmt: skip
    if not plan.test:
        agreed = {name: mean(collections["valid"], run) for name, run in runs["valid"].items() if name != TEACHER}
        return {**facts, "agreement": agreed, "advice": unjudged(agreed, len(collections["valid"].query_ids))}
    found = systems(collections["valid"], runs["valid"])
    tested = on_test(collections["test"], runs["test"], found)
    advice = advise(found, tested, len(collections["valid"].qrels))
    rows = [
        {
            "system": each.name, "parts": each.parts, "weights": each.weights, "chosen_by": each.chosen_by,
            **asdict(tested[each.name]), "milliseconds": sum(milliseconds[part] for part in each.parts),
        }
        for each in found
    ]  # fmt: skip
    best = next(each for each in found if each.name == advice.system)
    facts |= {"use": use_of(best, plan, output), "cost": _cost(best, plan, collections["test"], milliseconds)}
    return {**facts, "systems": rows, "advice": advice}


def use_of(system: System, plan: Plan, output: Path) -> list[str]:
    """The verbs that rank queries as a system does; of the student alone, also the one that serves it."""
    settings, depth = plan.settings, str(plan.settings.depth)
    files = {FIRST_STAGE: "bm25.run.gz", TEACHER: "teacher.run.gz", STUDENT: "student.run.gz", READY: "ready.run.gz"}
    of = ["--collection", plan.roles.place]
    again = [*of, "--run", files[FIRST_STAGE], "--depth", depth, "--output"]
    teach = ["limbeck", "teach", "biencoder", "--model", settings.teacher, "--max-length", str(plan.teacher_tokens)]
    verbs = {
        STUDENT: ["limbeck", "rerank", "--model", str(output / "model"), *again, files[STUDENT]],
        READY: ["limbeck", "rerank", "--model", settings.reranker or "", *again, files[READY]],
        TEACHER: [*teach, *again, "teacher.parquet", "--ranking", files[TEACHER]],
    }
    found = [["limbeck", "retrieve", "bm25", *of, "--depth", depth, "--output", files[FIRST_STAGE]]]
    found += [verbs[part] for part in system.parts if part != FIRST_STAGE]
    if system.weights:
        weights = [word for weight in system.weights for word in ("--weight", f"{weight:g}")]
        runs = [files[part] for part in system.parts]
        found.append(
            ["limbeck", "retrieve", "fuse", *runs, "--method", "interpolate", *weights, "--output", "fused.run.gz"]
        )
    elif system.parts == (STUDENT,):
        found.append(["limbeck", "serve", str(output / "model")])
    return [join(words) for words in found]


def _cost(system: System, plan: Plan, collection: Collection, milliseconds: Mapping[str, float]) -> str:
    """What a system costs beyond the first stage, in words."""
    parts = [part for part in system.parts if part != FIRST_STAGE]
    if not parts:
        return "It costs nothing beyond the first stage."
    each = ", ".join(f"{part} {milliseconds[part]:,.0f} ms" for part in parts)
    words = f"It adds {sum(milliseconds[part] for part in parts):,.0f} ms to a query here ({each}; the median)."
    if TEACHER in parts:
        minutes = len(collection.documents) / plan.rates.documents / 60
        words += (
            f" The teacher must have embedded the {len(collection.documents):,} documents before, which takes about "
            f"{minutes:,.0f} min here."
        )
    return words


def _rankings(plan: Plan, key: str, collection: Collection, output: Path, console: Console) -> dict[str, Run]:
    """The candidates as each ranker orders them, the cheapest first."""
    store, name = Store(output / "study"), plan.valid if key == "valid" else plan.test
    index = store.read_index()
    cell, (teacher, _) = index["cells"][0], index["teachers"]

    def kept(cell_id: str | None, keys: Mapping[str, str]) -> Run:
        return read_run(store.evaluation(cell_id, keys[name or ""]) / "run.gz")

    found = {
        FIRST_STAGE: kept(None, index["first_stage"]["evaluations"]),
        TEACHER: kept(None, teacher["evaluations"]),
        STUDENT: kept(cell["id"], cell["evaluations"]),
    }
    if plan.settings.reranker:
        path = output / "runs" / f"{key}-ready.run.gz"
        if not path.exists():
            ready = CrossEncoder.load(plan.settings.reranker)
            write_run(rerank(ready, collection, found[FIRST_STAGE], plan.settings.depth, console=console), path)
        found[READY] = read_run(path)
    return found


def _final_model(plan: Plan, collection: Collection, run: Run, output: Path, console: Console) -> CrossEncoder:
    """The student in `model`, calibrated where judgments allow it."""
    store = Store(output / "study")
    encoder = CrossEncoder.load(store.cell(store.read_index()["cells"][0]["id"]) / "model")
    if plan.test:
        try:
            found = calibrate(collection, run)
        except DataError as error:
            console.print(f"not calibrated: {error}", highlight=False, markup=False, soft_wrap=True)
        else:
            encoder.calibrate(found.platt.slope, found.platt.intercept, facts_of(found, run.name, plan.settings.depth))
    encoder.save(output / "model")
    return encoder


def _costs(
    plan: Plan, collection: Collection, runs: Mapping[str, Run], output: Path, console: Console
) -> dict[str, float]:
    """Ranker → milliseconds that it adds to a query, the median; documents' embeddings are there beforehand."""
    found = {FIRST_STAGE: 0.0}
    first = runs[FIRST_STAGE]
    passages = min(plan.settings.depth, max(map(len, first.values())))
    models = {STUDENT: str(output / "model")} | ({READY: plan.settings.reranker} if plan.settings.reranker else {})
    settings = LatencySettings(passages=(passages,), threads=(cores(),), form=("fp32",), seconds=3.0)
    measured, left_out = measure_latency(models, collection, first, settings)
    if left_out:
        raise DataError("; ".join(f"{each.model}: its latency cannot be measured: {each.reason}" for each in left_out))
    teacher = BiEncoder.load(plan.settings.teacher)
    seconds = []
    for query_id in list(first)[:20]:
        began = time.perf_counter()
        teacher.encode([collection.queries[query_id]])
        seconds.append(time.perf_counter() - began)
    return found | {TEACHER: 1000 * median(seconds)} | {each.model: each.p50_ms for each in measured}
