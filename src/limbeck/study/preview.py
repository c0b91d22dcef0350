"""What a study will take, before it is run."""

from pathlib import Path
from typing import Any

from limbeck.study.audit import sampled
from limbeck.study.config import Study
from limbeck.study.index import describe_study
from limbeck.study.plan import StudyPlan, lists_per_step, stated_steps
from limbeck.study.status import cell_state
from limbeck.study.store import Store, key_of


def preview(plan: StudyPlan, output: str | Path) -> dict[str, Any]:
    """The plan in numbers, beside what `output` holds already.

    Returns:
        `name`; `cells`, each with `id`, `backbone`, `recipe`, `seed`, `state`, `steps` and `pairs` to train on (None
        where the length of the lists decides); `shared`, what is computed once (what → how many
        of different content); `warnings`; and `summary`, a sentence.
    """
    study, store = plan.study, Store(output)
    index = describe_study(plan)
    cells = [
        {
            **{key: entry[key] for key in ("id", "backbone", "recipe", "seed", "steps")},
            "pairs": _pairs(study, entry["backbone"], entry["recipe"]),
            "state": cell_state(store, entry, index["measures"])[0],
        }
        for entry in index["cells"]
    ]
    different = {cell["id"] for cell in cells}
    done = {cell["id"] for cell in cells if cell["state"] == "done"}
    shared = _shared(study)
    same = f" ({len(different)} different ones)" if len(different) < len(cells) else ""
    return {
        "name": study.name,
        "cells": cells,
        "shared": shared,
        "warnings": list(plan.warnings),
        "summary": f"{len(cells)} cells{same}, {len(done)} done already; computed once for all: "
        + ", ".join(f"{count} {what}" for what, count in shared.items()),
    }


def _pairs(study: Study, backbone: str, recipe: str) -> int | None:
    """Pairs that a recipe trains on, if its lists are long enough for their sample."""
    total = 0
    for stage in study.config.recipes[recipe]:
        count, exact = sampled(study.sources.sample(stage.lists), study.sources.depth(stage.lists))
        steps = stated_steps(study, backbone, stage)
        if count is None or not exact or steps is None:
            return None
        total += steps * lists_per_step(study, backbone, stage) * count
    return total


def _shared(study: Study) -> dict[str, int]:
    config, sources = study.config, study.sources
    lists = {key_of(sources.lists(name)) for name in config.lists}
    uses = {(config.evaluation.first_stage, config.evaluation.depth, name) for name in config.collections.test}
    if config.validation:
        first_stage = config.validation.first_stage or config.evaluation.first_stage
        uses |= {(first_stage, config.validation.depth, name) for name in config.validation.collections}
    for name, source in config.lists.items():
        if source.first_stage:
            uses |= {(source.first_stage, sources.depth(name) or 0, each) for each in sources.listed(name)}
    runs = {
        key_of([sources.collection(name).fingerprint, sources.candidates(stage, name), depth])
        for stage, depth, name in uses
    }
    return {"training lists": len(lists), "first-stage runs": len(runs), "teachers": len(config.teachers)}
