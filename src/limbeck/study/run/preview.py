"""What a study will take, before anything is fetched or run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from limbeck.core.errors import plural
from limbeck.core.json_files import key_of
from limbeck.study.config.schema import Exit
from limbeck.study.config.study import Study
from limbeck.study.plan.architecture import BASE, architecture_of, stated_rate
from limbeck.study.plan.audit import audit_study
from limbeck.study.plan.cost import NONE, CostEstimate, CostModel
from limbeck.study.plan.downloads import Download, downloads
from limbeck.study.plan.plan import plan_study
from limbeck.study.run.index import describe_study, recipe_steps
from limbeck.study.run.status import CellState, cell_state
from limbeck.study.run.store import Store

BYTES_OF_RANK = 14
"""Of a line of a gzipped run, measured on TREC-DL 2020's."""


def preview(
    study: Study,
    output: str | Path,
    pairs_per_second: float | None = None,
    flops_per_second: float | Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The study in numbers, beside what `output` holds already. Fetches nothing.

    Args:
        pairs_per_second: pairs that are trained on in a second; three are scored in the same time.
        flops_per_second: the same as operations; of each backbone, or of all alike. Without either, hours are those of
            `limbeck.study.plan.architecture.stated_rate`.

    Returns:
        `name`; `cells`, each with `id` (None where collections must be fetched first), `backbone`, `recipe`, `seed`,
        `state` (None: not known yet), `steps`, `training`, `validation` and `evaluation` (see
        `limbeck.study.plan.cost.CostEstimate`) and `hours`; `totals` of the cells that are not done; `shared`, what is
        computed once (what → how many of different content); `first_stages`, the encoding for them, with its `hours`;
        `memory`, backbone → bytes on the device in training; `rates`, whose hours they are: "stated" or "given";
        `downloads`; `disk` in bytes; `audit` (see `limbeck.study.plan.audit`); `warnings`; and `summary`. `totals` has
        `hours` of all cells left and of the encoding, and `hours_bf16`, the same if all were in bf16, at stated rates.
    """
    workload, fetched = CostModel(study), downloads(study)
    known, warnings = _known(study, output, fetched)
    rates = _Rates(workload, pairs_per_second, flops_per_second)
    cells = []
    for backbone in study.config.backbones:
        evaluation = workload.evaluation(backbone)
        for recipe in study.config.recipes:
            steps = recipe_steps(study, backbone, recipe)
            training, validation = workload.training(backbone, recipe), workload.validation(backbone, recipe)
            hours = rates.hours(backbone, training, validation, evaluation)
            for seed in study.config.seeds_of(recipe):
                cell_id, state = known.get((backbone, recipe, seed), (None, None))
                cells.append(
                    {
                        "id": cell_id, "backbone": backbone, "recipe": recipe, "seed": seed, "state": state,
                        "steps": steps, "training": asdict(training), "validation": asdict(validation),
                        "evaluation": asdict(evaluation), "hours": hours,
                    }
                )  # fmt: skip
    # Equal cells are trained once.
    different = list({cell["id"] or number: cell for number, cell in enumerate(cells)}.values())
    left = [cell for cell in different if cell["state"] != "done"]
    done = f"{len(different) - len(left)} done already" if known else "not known yet which are done already"
    shared = _shared(study)
    same = f" ({len(different)} different ones)" if len(different) < len(cells) else ""
    return {
        "name": study.name,
        "cells": cells,
        "totals": _totals(workload, left, rates),
        "first_stages": {**asdict(encoding := workload.first_stages()), "hours": rates.encoding(encoding)},
        "memory": {
            name: workload.memory(name)
            for name, backbone in study.config.backbones.items()
            if any(study.config.recipes.values()) and not isinstance(backbone, Exit)
        },
        "rates": "stated" if rates.stated else "given",
        "shared": shared,
        "downloads": [asdict(each) for each in fetched],
        "disk": _disk(workload, left),
        "audit": audit_study(study),
        "warnings": warnings,
        "summary": f"{plural(len(cells), 'cell')}{same}, {done}; computed once for all: "
        + ", ".join(
            f"{count} {what if count != 1 else what.removesuffix('s')}" for what, count in shared.items() if count
        ),
    }


@dataclass(frozen=True)
class _Rates:
    """How fast pairs are trained on; a pair is scored in a third of the time."""

    workload: CostModel
    pairs: float | None
    flops: float | Mapping[str, float] | None

    @property
    def stated(self) -> bool:
        return self.pairs is None and self.flops is None

    def hours(
        self,
        backbone: str,
        training: CostEstimate,
        validation: CostEstimate,
        tests: CostEstimate,
        in_bf16: bool = False,
    ) -> float | None:
        if self.pairs is not None:
            parts = (training.pairs, validation.pairs, tests.pairs)
            trained, validated, tested = parts
            if trained is None or validated is None or tested is None:
                return None
            return (trained + (validated + tested) / 3) / self.pairs / 3600
        config = self.workload.study.config
        work = ((training, config.optimizer), (validation, config.optimizer), (tests, config.evaluation))
        hours = [self._hours(backbone, part.flops, "bf16" if in_bf16 else of.precision) for part, of in work]
        known = [each for each in hours if each is not None]
        return sum(known) if len(known) == len(hours) else None

    def encoding(self, work: CostEstimate) -> float | None:
        """Of first stages, at the stated rate of a model of the base size where only pairs are timed."""
        if work.flops is None:
            return None
        flops = self.flops if isinstance(self.flops, float | int) else stated_rate(BASE, "bf16")
        return work.flops / flops / 3600

    def _hours(self, backbone: str, flops: float | None, precision: str) -> float | None:
        if flops is None:
            return None
        if self.stated:
            weights = self.workload.weights(backbone)
            return None if weights is None else flops / stated_rate(weights, precision) / 3600
        rate = self.flops[backbone] if isinstance(self.flops, Mapping) else self.flops
        return None if rate is None else flops / rate / 3600


def _known(
    study: Study, output: str | Path, fetched: list[Download]
) -> tuple[dict[tuple[str, str, int], tuple[str, CellState]], list[str]]:
    """(backbone, recipe, seed) → (id, state), as far as that can be told without fetching; and warnings."""
    store = Store(output)
    index: dict[str, Any] | None = None
    absent = [each.name for each in fetched if not each.here and each.kind != "model"]
    if not absent:
        index = describe_study(plan_study(study))
    elif store.index.exists() and store.study.read_text(encoding="utf-8") == study.text:
        index = store.read_index()
    if index is None:
        text = (
            f"{len(absent)} collections and files are not here: whether validation and training see test queries, and "
            "which cells are done already, is known once they are"
        )
        return {}, [text]
    states = {
        (entry["backbone"], entry["recipe"], entry["seed"]): (
            entry["id"],
            cell_state(store, entry, index["measures"])[0],
        )
        for entry in index["cells"]
    }
    return states, list(index["warnings"])


def _totals(workload: CostModel, cells: list[dict[str, Any]], rates: _Rates) -> dict[str, Any]:
    """The work of some cells; what several begin with is trained once."""
    total = dict.fromkeys(("training", "validation", "evaluation"), NONE)
    encoding = rates.encoding(workload.first_stages()) if cells else 0.0
    hours, in_bf16 = [encoding], [encoding]
    begun = set()
    for cell in cells:
        stages = workload.study.config.recipes[cell["recipe"]]
        training = NONE
        for number, stage in enumerate(stages, 1):
            prefix = key_of([cell["backbone"], cell["seed"], [asdict(each) for each in stages[:number]]])
            if prefix not in begun:
                begun.add(prefix)
                training += workload.stage(cell["backbone"], stage)
        work = {part: CostEstimate(**cell[part]) for part in ("validation", "evaluation")} | {"training": training}
        total = {part: total[part] + work[part] for part in total}
        parts = (training, work["validation"], work["evaluation"])
        hours.append(rates.hours(cell["backbone"], *parts))
        in_bf16.append(rates.hours(cell["backbone"], *parts, in_bf16=True))
    return {
        "cells": len(cells),
        **{part: asdict(work) for part, work in total.items()},
        "hours": _sum(hours),
        "hours_bf16": _sum(in_bf16) if rates.stated else None,
    }


def _sum(values: list[Any]) -> Any:
    return None if None in values else sum(values)


def _shared(study: Study) -> dict[str, int]:
    """By what the study file says, so that nothing need be loaded."""
    config, sources = study.config, study.sources
    lists = {key_of(source.model_dump(exclude={"sample"})) for source in config.lists.values()}
    uses = {
        (stage, config.evaluation.depth, name)
        for stage in config.evaluation.first_stages
        for name in config.collections.test
    }
    if config.validation:
        first_stage = config.validation.first_stage or config.evaluation.first_stage
        uses |= {(first_stage, config.validation.depth, name) for name in config.validation.collections}
    for name, source in config.lists.items():
        if source.first_stage:
            uses |= {(source.first_stage, sources.depth(name) or 0, each) for each in sources.listed(name)}
    runs = {
        key_of([sources.first_stage(stage).model_dump(), depth, sources.place(name)]) for stage, depth, name in uses
    }
    found = {name: architecture_of(backbone, sources) for name, backbone in config.backbones.items()}
    tokenizers = {(each.tokenizer, each.shape.get("vocab_size")) if each else name for name, each in found.items()}
    validated = config.validation.collections if config.validation else []
    texts = len(dict.fromkeys(map(sources.place, [*config.collections.test, *validated]))) + 1
    return {
        "training lists": len(lists),
        "first-stage runs": len(runs),
        "teachers": len(config.teachers),
        "token stores": len(tokenizers) * texts,
    }


def _disk(workload: CostModel, cells: list[dict[str, Any]]) -> dict[str, int | None]:
    """Bytes of finished models, of the checkpoints of one training, and of the runs of all evaluations."""
    weights: dict[str, int | None] = {}
    for name in dict.fromkeys(cell["backbone"] for cell in cells):
        model = workload.model(name)
        weights[name] = None if model is None else sum(weight.numel() for weight in model.parameters())
    pairs = _sum([cell["evaluation"]["pairs"] for cell in cells])
    models = _sum([weights[cell["backbone"]] for cell in cells])
    # Two checkpoints, each of weights, two moments of the optimiser, and the best weights so far.
    sizes = [size for size in weights.values() if size is not None]
    largest = max(sizes, default=0) if len(sizes) == len(weights) else None
    if not any(workload.study.config.recipes[cell["recipe"]] for cell in cells):
        largest = 0
    return {
        "models": models and 4 * models,
        "checkpoints": largest and 32 * largest,
        "runs": pairs and BYTES_OF_RANK * pairs,
    }
