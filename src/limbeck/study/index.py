"""The index of a study's output: all that reading its results needs, without the study file or its sources."""

from datetime import UTC, datetime
from typing import Any

from limbeck import __version__
from limbeck.evaluation import canonical
from limbeck.files import write_json, write_text
from limbeck.objectives import parse
from limbeck.study.audit import stated_facts
from limbeck.study.config import Study
from limbeck.study.plan import Cell, StudyPlan, evaluation_description, learning_rate, lists_per_step, stated_steps
from limbeck.study.schema import Stage
from limbeck.study.store import Store, key_of


def write_index(plan: StudyPlan, store: Store) -> None:
    """Copy the study file and write `index.json`; files that would not change are left as they are."""
    study = plan.study
    if not store.study.exists() or store.study.read_text(encoding="utf-8") != study.text:
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
    return {
        "name": study.name,
        "limbeck_version": __version__,
        "measures": list(dict.fromkeys(canonical(measure) for measure in config.evaluation.measures)),
        "collections": [
            {
                "name": test.name,
                "place": sources.place(test.name),
                "fingerprint": test.fingerprint,
                "documents": len(test.documents),
                "queries": len(test.qrels),
            }
            for test in tests
        ],
        "first_stage": {
            "name": config.evaluation.first_stage,
            "description": sources.stage_description(config.evaluation.first_stage),
            "depth": config.evaluation.depth,
            "evaluations": {test.name: first_stage_key(study, test.name) for test in tests},
        },
        "teachers": [
            {
                "name": name,
                "model": teacher.biencoder,
                "evaluations": {test.name: teacher_key(study, name, test.name) for test in tests},
            }
            for name, teacher in config.teachers.items()
        ],
        "backbones": [
            {"name": name, "model": backbone.model, "layers": backbone.layers}
            for name, backbone in config.backbones.items()
        ],
        "recipes": [
            {"name": name, "stages": [_stage(study, stage) for stage in stages]}
            for name, stages in config.recipes.items()
        ],
        "facts": {
            backbone: {recipe: stated_facts(study, backbone, recipe) for recipe in config.recipes}
            for backbone in config.backbones
        },
        "cells": [
            {
                "id": cell.id,
                "backbone": cell.backbone,
                "recipe": cell.recipe,
                "seed": cell.seed,
                "steps": recipe_steps(study, cell.backbone, cell.recipe),
                "evaluations": {test.name: cell_key(study, cell, test.name) for test in tests},
            }
            for cell in plan.cells
        ],
        "warnings": list(plan.warnings),
    }


def first_stage_key(study: Study, collection: str) -> str:
    """What a first stage's evaluation is kept under."""
    return key_of(evaluation_description(study.sources, collection, ranker="first stage"))


def teacher_key(study: Study, teacher: str, collection: str) -> str:
    """What a teacher's evaluation is kept under."""
    weights = study.sources.weights(study.config.teachers[teacher].biencoder)
    return key_of(evaluation_description(study.sources, collection, ranker={"biencoder": weights}))


def cell_key(study: Study, cell: Cell, collection: str) -> str:
    """What a cell's evaluation is kept under, in the cell's folder."""
    return key_of(evaluation_description(study.sources, collection, precision=study.config.evaluation.precision))


def recipe_steps(study: Study, backbone: str, recipe: str) -> int | None:
    """Optimiser steps of a recipe; None where a stage counts epochs, whose length its lists decide."""
    steps = [stated_steps(study, backbone, stage) for stage in study.config.recipes[recipe]]
    return None if None in steps else sum(step for step in steps if step)


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
