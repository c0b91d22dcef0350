"""The terms on which a recipe is trained, factor by factor, as its study file states them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from limbeck.lists import find_format
from limbeck.objectives import parse
from limbeck.study.config.resolver import BM25_NAME
from limbeck.study.config.schema import Backbone, Stage, longest_pair
from limbeck.study.config.study import Study
from limbeck.study.plan.plan import describe_cell, learning_rate, lists_per_step, stated_steps

TOLD = frozenset(
    {
        "format", "collections", "seed", "stages.objective", "stages.sample", "stages.steps", "stages.epochs",
        "stages.lists_per_step", "stages.learning_rate", "stages.order", "stages.lists.depth",
        "stages.lists.parts.collection", "backbone.passage_tokens",
        "backbone.max_length", "backbone.query_tokens", "optimizer.precision", "optimizer.clip",
        "optimizer.weight_decay", "optimizer.warmup", "optimizer.schedule", "validation.depth", "validation.measure",
        "validation.every", "validation.best_so_far", "validation.sets.collection",
    }
)  # fmt: skip
"""What of a cell's description a factor in words tells in full. All else stands under its own name, so that nothing
that decides a result can be forgotten here."""

UNTRAINED = "none: as it is"
"""The objective of a recipe without stages."""

PARTS = {
    "stages.lists.parts.candidates": "negatives",
    "stages.lists.corpus_negatives": "negatives",
    "stages.lists.format": "negatives",  # of the file they are from; lists that are made here have none
    "stages.lists.teacher": "signal",
    "stages.lists.labels": "signal",
    "stages.lists.signal": "signal",
    "stages.lists": "lists",
    "validation": "checkpoint",
}
"""Beginnings of names in the description → the factor in words that they are a detail of, or a shorter name."""


def described_facts(description: Mapping[str, Any]) -> dict[str, str]:
    """What of a cell's description no factor in words tells in full: name → value.

    A name is `factor: detail`, as in "negatives: bm25 k1" or "signal: scale". Values of stages that differ are joined.
    """
    found: dict[str, list[str]] = {}
    for path, value in _leaves(description):
        if path in TOLD or value is None:
            continue
        start = next((start for start in PARTS if path == start or path.startswith(f"{start}.")), None)
        factor, rest = (PARTS[start], path[len(start) + 1 :]) if start else path.partition(".")[::2]
        detail = (rest or path.rpartition(".")[2]).replace(".", " ").replace("_", " ")
        values = found.setdefault(f"{factor}: {detail}", [])
        if str(value) not in values:
            values.append(str(value))
    return {name: ", then ".join(values) for name, values in found.items()}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a description, with the names that lead to each; the places of a list have none."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path, value


def stated_facts(study: Study, backbone: str, recipe: str, contents: bool = True) -> dict[str, str]:
    """The factors that the study file decides, the objective first: factor → how it stands, in words.

    They are the cell's description, from which its key is made too: most in words, the rest by `described_facts`.
    Without `contents`, what collections and files hold is left out: they are not here.
    """
    stages, config = study.config.recipes[recipe], study.config
    model = config.backbones[backbone]

    if not stages:
        known = described_facts(describe_cell(study, backbone, recipe, 0, contents).description)
        return {"objective": UNTRAINED, "stages": "0", "max length": _length_of_pairs(model), **known}

    def each(fact: Callable[[Stage], str]) -> str:
        values = [fact(stage) for stage in stages]
        return values[0] if len(set(values)) == 1 else ", then ".join(values)

    return {
        "objective": each(lambda stage: str(parse(stage.objective))),
        "stages": str(len(stages)),
        "data": each(lambda stage: _data(study, stage)),
        "negatives": each(lambda stage: _negatives(study, stage)),
        "sample": each(lambda stage: str(study.sources.sample(stage.lists))),
        "signal": each(lambda stage: " + ".join(_signals(study, stage))),
        "queries per step": each(lambda stage: str(lists_per_step(study, backbone, stage))),
        "passages per list": each(lambda stage: _passages(study, backbone, stage)[0]),
        "passages per step": each(lambda stage: _passages(study, backbone, stage)[1]),
        "steps": " + ".join(_length(study, backbone, stage) for stage in stages),
        "learning rate": each(lambda stage: f"{learning_rate(study, backbone, stage):g}"),
        "schedule": _schedule(study),
        "precision": config.optimizer.precision,
        "max length": _length_of_pairs(model),
        "order of lists": each(lambda stage: "as in the file" if stage.order == "file" else "shuffled"),
        "checkpoint": _checkpoint(study),
        **described_facts(describe_cell(study, backbone, recipe, 0, contents).description),
    }


def planned_facts(study: Study, backbone: str, recipe: str) -> dict[str, str]:
    """The factors that a training will measure, as far as the study file tells them beforehand."""
    if not study.config.recipes[recipe]:
        return {"pairs trained on": "0"}
    pairs, exact = _sum([pairs_trained_on(study, backbone, stage) for stage in study.config.recipes[recipe]])
    most = pairs and pairs * longest_pair(study.config.backbones[backbone])
    return {
        "seeds": ", ".join(map(str, sorted(study.config.seeds))),
        "pairs trained on": f"{'' if exact else 'at most '}{pairs:,}" if pairs else "as many as the lists hold",
        "tokens seen": f"at most {most:,}" if most else "as many as the lists hold",
        "passages cut": "counted in training",
    }


def pairs_trained_on(study: Study, backbone: str, stage: Stage) -> tuple[int | None, bool]:
    """Pairs of a stage, and whether it will be so many or is only a limit; None where the lists decide."""
    count, exact = _drawn(study, stage)
    steps = stated_steps(study, backbone, stage)
    if count is None or steps is None:
        return None, False
    return steps * lists_per_step(study, backbone, stage) * count, exact


def _sum(parts: Sequence[tuple[int | None, bool]]) -> tuple[int | None, bool]:
    counts = [count for count, _ in parts if count is not None]
    return (sum(counts) if len(counts) == len(parts) else None), all(exact for _, exact in parts)


def _drawn(study: Study, stage: Stage) -> tuple[int | None, bool]:
    """How many passages are drawn from a list of enough, and whether that is fixed or only a limit; None for all."""
    sample = study.sources.sample(stage.lists)
    if sample.passages is not None:
        return sample.passages, True
    form = study.config.lists[stage.lists].format
    if form != "limbeck" and find_format(form).is_pairs:
        return 2, True
    limits = [limit for limit in (sample.depth, study.sources.depth(stage.lists)) if limit]
    return (min(limits), False) if limits else (None, False)


def _length_of_pairs(model: Backbone) -> str:
    passage = "" if model.passage_tokens is None else f", the passage up to {model.passage_tokens}"
    return f"{longest_pair(model)}, of which the query up to {model.query_tokens}{passage}"


def _length(study: Study, backbone: str, stage: Stage) -> str:
    steps = stated_steps(study, backbone, stage)
    return f"{stage.epochs:g} epochs" if steps is None else f"{steps:,}"


def _data(study: Study, stage: Stage) -> str:
    """Whose queries are trained on."""
    source = study.config.lists[stage.lists]
    if source.format == "limbeck" and source.path:
        return ", ".join(source.path.values())
    return ", ".join(study.sources.listed(stage.lists))


def _negatives(study: Study, stage: Stage) -> str:
    """Where the passages beside the positives come from, and down to which rank."""
    source = study.config.lists[stage.lists]
    depth = study.sources.depth(stage.lists)
    random = f", {source.corpus_negatives} random" if source.corpus_negatives else ""
    if source.path:
        return f"{', '.join(source.path.values())}{f', depth {depth}' if depth else ''}{random}"
    return f"{source.first_stage or BM25_NAME}, depth {depth}{random}"


def _signals(study: Study, stage: Stage) -> Iterator[str]:
    """Where signals come from. A teacher's scores and the order that they make are one source: which of the two is
    read is the objective's own."""
    source = study.config.lists[stage.lists]
    found = [
        "judgments" if signal == "labels" and source.labels
        else source.teacher or ", ".join((source.path or {}).values())
        for signal in sorted(parse(stage.objective).signals)
    ]  # fmt: skip
    yield from dict.fromkeys(found)


def _passages(study: Study, backbone: str, stage: Stage) -> tuple[str, str]:
    """Passages per list and per step, as far as the sample fixes them."""
    count, exact = _drawn(study, stage)
    if count is None:
        return "whole lists", "whole lists"
    most = "" if exact else "up to "
    return f"{most}{count}", f"{most}{count * lists_per_step(study, backbone, stage)}"


def _schedule(study: Study) -> str:
    optimizer = study.config.optimizer
    warmup = optimizer.warmup
    rising = f"{warmup:.0%} of a stage" if warmup < 1 else f"{warmup:,.0f} steps"
    decay = f", weight decay {optimizer.weight_decay:g}" if optimizer.weight_decay else ""
    then = "constant" if optimizer.schedule == "constant" else "linear to 0"
    return f"warm-up over {rising}, then {then}, clipped at {optimizer.clip:g}{decay}"


def _checkpoint(study: Study) -> str:
    validation = study.config.validation
    if validation is None:
        return "the last step"
    rule = "the highest mean of each collection's best so far, " if validation.best_so_far else "the highest "
    return (
        f"{rule}{validation.measure} on {', '.join(validation.collections)}, "
        f"depth {validation.depth}, every {validation.every:,} steps"
    )
