"""Whether recipes can be trained: their objectives, lists, signals, steps and learning rates."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from limbeck.core.errors import UsageError
from limbeck.core.yaml_file import Key, Problem, show
from limbeck.objectives import Objective, parse
from limbeck.study.config.check_lists import provided
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import Stage, StudyConfig
from limbeck.study.config.schema_errors import unknown


def check_recipes(
    config: StudyConfig, values: Any, lists: set[str], broken: set[Key], sources: Sources
) -> Iterator[Problem]:
    """Problems of `recipes`.

    Args:
        values: the file's content.
        lists: the names of all list sources.
        broken: the parts of the file in which something is wrong.
    """
    backbones = values.get("backbones")
    slow = [
        name
        for name, backbone in (backbones if isinstance(backbones, dict) else {}).items()
        if not isinstance(backbone, dict) or "learning_rate" not in backbone
        # One without a model is a misspelt known one, which would have had a rate.
        if name not in config.backbones
        or (config.backbones[name].model and config.backbones[name].learning_rate is None)
    ]
    for name, stages in config.recipes.items():
        for number, stage in enumerate(stages):
            key: Key = ("recipes", name, number)
            given = values["recipes"][name][number] if name in (values.get("recipes") or {}) else {}
            yield from _check_objective(key, stage, lists, broken, sources)
            yield from _check_length(key, stage, given, sources)
            yield from _check_batch(key, stage, given, config)
            if "learning_rate" not in given and slow:
                text = (
                    f"has no learning_rate, and neither has the backbone {', '.join(slow)}; give it in one of the two"
                )
                yield Problem(key, text)
    yield from _check_warmup(config)


def _check_length(key: Key, stage: Stage, given: Any, sources: Sources) -> Iterator[Problem]:
    lengths = [name for name in ("steps", "epochs", "pairs") if name in given]
    if len(lengths) != 1:
        yield Problem(key, f"has {' and '.join(lengths) or 'no length'}; expected one of steps, epochs and pairs")
    if stage.pairs is None or stage.lists not in sources.config.lists:
        return
    with suppress(UsageError):  # a sample that cannot be is said by another check
        if (sample := sources.sample(stage.lists)).passages is None:
            text = f"are counted, but lists.{stage.lists} draws no fixed number of passages (sample: {sample})"
            yield Problem((*key, "pairs"), f"{text}; give it a size, or give steps here")


def _check_batch(key: Key, stage: Stage, given: Any, config: StudyConfig) -> Iterator[Problem]:
    if ("lists_per_step" in given) == ("batch_divisor" in given):
        yield Problem(key, "needs either lists_per_step or batch_divisor, not both or neither")
    if stage.batch_divisor is None:
        return
    for name, backbone in config.backbones.items():
        if backbone.batch is None and backbone.model:
            yield Problem(
                (*key, "batch_divisor"), f"divides a batch, but the backbone {name} has none; give it a batch"
            )


def _check_objective(key: Key, stage: Stage, lists: set[str], broken: set[Key], sources: Sources) -> Iterator[Problem]:
    objective: Objective | None = None
    try:
        objective = parse(stage.objective)
    except UsageError as error:
        yield Problem((*key, "objective"), str(error))
    if stage.lists not in lists:
        yield Problem((*key, "lists"), unknown("list source", stage.lists, lists))
        return
    described = stage.lists in sources.config.lists and ("lists", stage.lists) not in broken
    signals = provided(stage.lists, sources) if described else None
    if objective is None or signals is None:
        return
    absent = sorted(objective.signals - signals)
    if absent:
        text = (
            f"{objective} reads {' and '.join(sorted(objective.signals))}, but lists.{stage.lists} provides "
            f"{', '.join(sorted(signals)) or 'no signal'}; {_remedy(absent)}"
        )
        yield Problem((*key, "objective"), text)


def _remedy(absent: list[str]) -> str:
    ways = {
        "labels": "labels: qrels",
        "teacher_scores": "teacher: NAME",
        "teacher_order": "teacher: NAME, or signal: order with a run",
    }
    return f"add {' and '.join(ways[signal] for signal in absent)} there, or choose another objective"


def _check_warmup(config: StudyConfig) -> Iterator[Problem]:
    warmup = config.optimizer.warmup
    short = {
        show(("recipes", name, number)): stage.steps
        for name, stages in config.recipes.items()
        for number, stage in enumerate(stages)
        if stage.steps is not None and 1 <= stage.steps <= warmup
    }
    if short:
        where = ", ".join(f"{stage} ({steps} steps)" for stage, steps in short.items())
        text = (
            f"is {warmup:g} steps, which leaves none at the full learning rate in {where}; expected fewer than that, "
            "or a share of each stage such as 0.1"
        )
        yield Problem(("optimizer", "warmup"), text)
