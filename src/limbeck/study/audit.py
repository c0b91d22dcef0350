"""The audit: in what two recipes differ beside their objectives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from limbeck.lists import Sample
from limbeck.objectives import parse
from limbeck.study.config import Study
from limbeck.study.plan import learning_rate, lists_per_step, stated_steps
from limbeck.study.schema import Stage
from limbeck.study.sources import BM25_NAME

Facts = Mapping[str, str]
"""Factor → how it stands in one recipe, in words."""


def differences(a: Facts, b: Facts) -> list[dict[str, str]]:
    """The factors in which two recipes differ: `factor`, and how it stands in `a` and in `b`."""
    factors = dict.fromkeys([*a, *b])
    return [
        {"factor": factor, "a": a.get(factor, "unknown"), "b": b.get(factor, "unknown")}
        for factor in factors
        if a.get(factor) != b.get(factor)
    ]


def stated_facts(study: Study, backbone: str, recipe: str) -> dict[str, str]:
    """The factors that the study file decides."""
    stages, config = study.config.recipes[recipe], study.config
    optimizer = config.optimizer
    warmup = optimizer.warmup

    def each(fact: Callable[[Stage], str]) -> str:
        values = [fact(stage) for stage in stages]
        return values[0] if len(set(values)) == 1 else ", then ".join(values)

    return {
        "stages": str(len(stages)),
        "candidates": each(lambda stage: _candidates(study, stage)),
        "sample": each(lambda stage: str(study.sources.sample(stage.lists))),
        "signal": each(lambda stage: _signal(study, stage)),
        "lists per step": each(lambda stage: str(lists_per_step(study, backbone, stage))),
        "passages per list": each(lambda stage: _passages(study, backbone, stage)[0]),
        "passages per step": each(lambda stage: _passages(study, backbone, stage)[1]),
        "steps": " + ".join(_length(study, backbone, stage) for stage in stages),
        "learning rate": each(lambda stage: f"{learning_rate(study, backbone, stage):g}"),
        "warm-up": f"{warmup:.0%} of a stage" if warmup < 1 else f"{warmup:,.0f} steps",
        "schedule": optimizer.schedule,
        "precision": optimizer.precision,
        "max length": str(config.backbones[backbone].max_length),
    }


def measured_facts(summaries: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> dict[str, str]:
    """The factors that show only in finished trainings, whose summaries and seeds these are."""
    facts = {"seeds": ", ".join(map(str, sorted(seeds))) or "none"}
    for factor, field in (("pairs trained on", "pairs"), ("tokens seen", "tokens")):
        values = [summary[field] for summary in summaries if field in summary]
        # Three digits: seeds draw other passages, which is no difference between recipes.
        facts[factor] = f"{float(f'{sum(values) / len(values):.3g}'):,.0f}" if values else "unknown"
    return facts


def _length(study: Study, backbone: str, stage: Stage) -> str:
    steps = stated_steps(study, backbone, stage)
    return f"{stage.epochs:g} epochs" if steps is None else f"{steps:,}"


def _candidates(study: Study, stage: Stage) -> str:
    source = study.config.lists[stage.lists]
    depth = study.sources.depth(stage.lists)
    if source.path:
        return f"{', '.join(source.path.values())}{f', depth {depth}' if depth else ''}"
    return f"{source.first_stage or BM25_NAME}, depth {depth}"


def _signal(study: Study, stage: Stage) -> str:
    return " + ".join(_signals(study, stage))


def _signals(study: Study, stage: Stage) -> Iterator[str]:
    source = study.config.lists[stage.lists]
    for signal in sorted(parse(stage.objective).signals):
        if signal == "labels" and source.labels:
            origin = "judgments"
        else:
            origin = source.teacher or ", ".join((source.path or {}).values())
        yield f"{signal.replace('_', ' ')} of {origin}" if signal != "labels" else f"labels of {origin}"


def _passages(study: Study, backbone: str, stage: Stage) -> tuple[str, str]:
    """Passages per list and per step, as far as the sample fixes them."""
    count, exact = sampled(study.sources.sample(stage.lists), study.sources.depth(stage.lists))
    if count is None:
        return "whole lists", "whole lists"
    most = "" if exact else "up to "
    return f"{most}{count}", f"{most}{count * lists_per_step(study, backbone, stage)}"


def sampled(sample: Sample, depth: int | None) -> tuple[int | None, bool]:
    """How many passages are drawn from a list of enough, and whether that is fixed or only a limit; None for all."""
    if sample.passages is not None:
        return sample.passages, True
    limits = [limit for limit in (sample.depth, depth) if limit]
    return (min(limits), False) if limits else (None, False)
