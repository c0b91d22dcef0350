"""What an output folder says of its study: the index, by which results are read without its sources, and all calls."""

import uuid
from datetime import UTC, datetime
from typing import Any

from limbeck import __version__
from limbeck.core.environment import command, commit, machine, unnamed, versions
from limbeck.core.errors import UsageError
from limbeck.core.files import write_json, write_text
from limbeck.evaluation import canonical
from limbeck.objectives import parse
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import Stage
from limbeck.study.config.study import Study
from limbeck.study.plan.audit import facts_of
from limbeck.study.plan.plan import StudyPlan, learning_rate, lists_per_step, stated_steps
from limbeck.study.run.evaluations import cell_key, first_stage_key, teacher_key
from limbeck.study.run.leaks import planned_searches
from limbeck.study.run.store import Store, read_json


def write_index(plan: StudyPlan, store: Store) -> None:
    """Copy the study file and write `index.json`; files that would not change are left as they are.

    UsageError where a study file stands there that no run has put there: it would be lost.
    """
    study = plan.study
    if not store.study.exists() or store.study.read_text(encoding="utf-8") != study.text:
        if store.study.exists() and not store.index.exists():
            raise UsageError(
                f"{store.study}: is a study file that no run has put there, and would be overwritten; expected another "
                "--output"
            )
        write_text(store.study, study.text)
    index = describe_study(plan)
    found = store.read_index() if store.index.exists() else {}
    created = found.pop("created", None) if found.get("name") == study.name else None
    if created is None or found != index:
        write_json(store.index, {**index, "created": created or datetime.now(UTC).isoformat("T", "seconds")})


def describe_study(plan: StudyPlan) -> dict[str, Any]:
    """What `index.json` holds, but for the time it was made."""
    study = plan.study
    config, sources = study.config, study.sources
    tests = [sources.collection(name) for name in config.collections.test]
    keys = {test.name: cell_key(study, test.name) for test in tests}
    return {
        "name": study.name,
        "rehearsal": config.rehearsal,
        "limbeck_version": __version__,
        "measures": list(dict.fromkeys(canonical(measure) for measure in config.evaluation.measures)),
        "margin": config.evaluation.margin,
        "own_document": config.collections.own_document,
        "collections": [_test_collection(sources, test.name) for test in tests],
        "training": [_collection(sources, name) for name in config.collections.train],
        "validation": config.validation
        and {
            "collections": [_collection(sources, name) for name in config.validation.collections],
            "first_stage": config.validation.first_stage or config.evaluation.first_stage,
            "measure": canonical(config.validation.measure),
            "test_queries_allowed": config.validation.allow_test_queries,
        },
        "first_stage": _first_stage(study, config.evaluation.first_stage),
        "other_first_stages": [
            {**_first_stage(study, stage), "cells": {test.name: cell_key(study, test.name, stage) for test in tests}}
            for stage in config.evaluation.other_first_stages
        ],
        "teachers": [
            {
                "name": name,
                "model": " + ".join(config.teachers[name].models),
                "evaluations": {test.name: teacher_key(study, name, test.name) for test in tests},
            }
            for name in sources.scoring_teachers
        ],
        "backbones": [
            {"name": name, "model": backbone.model, "layers": backbone.layers}
            for name, backbone in config.backbones.items()
        ],
        "recipes": [
            {"name": name, "stages": [_stage(study, stage) for stage in stages]}
            for name, stages in config.recipes.items()
        ],
        "facts": facts_of(study),
        "leaks": planned_searches(study),
        "cells": [
            {
                "id": cell.id,
                "backbone": cell.backbone,
                "recipe": cell.recipe,
                "seed": cell.seed,
                "steps": recipe_steps(study, cell.backbone, cell.recipe),
                "prefix": plan.prefixes(cell).get(1),
                "evaluations": keys,
            }
            for cell in plan.cells
        ],
        "bounds": [
            {**bound.model_dump(), "measure": canonical(bound.measure or config.evaluation.measures[0])}
            for bound in config.bounds
        ],
        "warnings": list(plan.warnings),
    }


def _first_stage(study: Study, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": study.sources.stage_description(name),
        "depth": study.config.evaluation.depth,
        "evaluations": {test: first_stage_key(study, test, name) for test in study.config.collections.test},
    }


def recipe_steps(study: Study, backbone: str, recipe: str) -> int | None:
    """Optimiser steps of a recipe; None where a stage counts epochs, whose length its lists decide."""
    steps = [stated_steps(study, backbone, stage) for stage in study.config.recipes[recipe]]
    return None if None in steps else sum(step for step in steps if step)


def _collection(sources: Sources, name: str) -> dict[str, Any]:
    found = sources.collection(name)
    return {
        "name": found.name,
        "place": sources.place(name),
        "fingerprint": found.fingerprint,
        "qrels": found.qrels_fingerprint,
        "documents": len(found.documents),
        "queries": len(found.qrels),
    }


def _test_collection(sources: Sources, name: str) -> dict[str, Any]:
    """With how it is measured, under the names of `limbeck.evaluation.Evaluation`."""
    found = sources.collection(name)
    measured = {"relevance_level": found.relevance_level, "own_document_removed": found.drop_query_document}
    return {**_collection(sources, name), **measured}


def _stage(study: Study, stage: Stage) -> dict[str, Any]:
    objective = parse(stage.objective)
    rates = {name: learning_rate(study, name, stage) for name in study.config.backbones}
    counts = {lists_per_step(study, name, stage) for name in study.config.backbones}
    steps = {stated_steps(study, name, stage) for name in study.config.backbones}
    same = len(set(rates.values())) == 1
    # Steps and lists per step are None where each backbone has its own, by its batch.
    return {
        "objective": str(objective),
        "lists": stage.lists,
        "signal": " + ".join(sorted(objective.signals)),
        "sample": str(study.sources.sample(stage.lists)),
        "steps": steps.pop() if len(steps) == 1 else None,
        "epochs": stage.epochs,
        "lists_per_step": counts.pop() if len(counts) == 1 else None,
        "learning_rate": next(iter(rates.values())) if same else ", ".join(f"{r:g} ({n})" for n, r in rates.items()),
    }


class Invocation:
    """One call's record, a file of its own, so that calls at the same time do not meet.

    It is written on each occasion; of a call that was killed, what it had done by then is known.
    """

    def __init__(self, store: Store) -> None:
        began = _now()
        self._path = store.invocations / f"{began.replace(':', '')}-{uuid.uuid4().hex[:6]}.json"
        facts = {"command": command(), "commit": commit(), "versions": versions(), "machine": machine()}
        self._record: dict[str, Any] = {"began": began, "last": began, **unnamed(facts), "cells": {}}
        write_json(self._path, self._record)

    def note(self, cell_id: str, result: str) -> None:
        """Write down what became of a cell."""
        self._record["cells"][cell_id] = result
        self._record["last"] = _now()
        write_json(self._path, self._record)


def read_invocations(store: Store) -> list[dict[str, Any]]:
    """All records, in the order in which the calls began; none of a study that an older limbeck ran."""
    return [read_json(path) for path in sorted(store.invocations.glob("*.json"))]


def _now() -> str:
    return datetime.now(UTC).isoformat("T", "seconds")
