"""Whether what is trained can be: backbones and teachers that are there and are what the study says, and recipes."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError, UsageError, nearest, plural
from limbeck.core.json_files import read_json
from limbeck.core.schema import attempt
from limbeck.core.yaml_file import Key, Problem, show
from limbeck.objectives import Objective, parse
from limbeck.study.config.check_lists import provided
from limbeck.study.config.derived_sections import Teacher, keys_of
from limbeck.study.config.known import known_backbones
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import Backbone, Stage, StudyConfig, longest_pair, unknown
from limbeck.teachers.kinds import teacher_kinds


def check_teacher(name: str, teacher: Teacher, sources: Sources) -> Iterator[Problem]:
    """Problems of one teacher but for its models. No endpoint is asked anything here."""
    key: Key = ("teachers", name)
    kinds = teacher.kinds
    if len(kinds) != 1:
        yield Problem(key, f"is {' and '.join(kinds) or 'nothing'}; expected one of {', '.join(teacher_kinds())}")
        return
    own = keys_of(teacher_kinds()[kinds[0]])
    for extra in sorted(teacher.model_fields_set - own - set(kinds)):
        others = [kind for kind, declared in teacher_kinds().items() if extra in keys_of(declared)]
        if others:
            yield Problem(
                (*key, extra), f"goes with {' and '.join(others)}, and this teacher is {kinds[0]}. Leave it out"
            )
    try:
        _ = teacher.declared
    except LimbeckError as error:
        yield Problem((*key, kinds[0]), str(error))
        return
    if all(sources.is_found(model) for model in teacher.models):
        yield from attempt(key, teacher.declared.describe, sources)


def check_models(config: StudyConfig, broken: set[Key], sources: Sources) -> Iterator[Problem]:
    """Problems of `first_stages`' models, `backbones` and `teachers`, some of which are `broken` otherwise.

    A Hub id is taken at its word: nothing is fetched here.
    """
    key: Key
    for name, stage in config.first_stages.items():
        if stage.encoder:
            key = ("first_stages", name, "splade" if stage.splade else "dense")
            yield from _check(key, "model", stage.encoder.model, stage.encoder.sha256, sources)
    for name, teacher in config.teachers.items():
        faults = list(check_teacher(name, teacher, sources))
        yield from faults
        if len(teacher.kinds) == 1 and not any(fault.key[-1] == teacher.kinds[0] for fault in faults):
            for model in teacher.models:
                yield from _check(("teachers", name), teacher.kinds[0], model, teacher.sha256, sources)
    for name, backbone in config.backbones.items():
        key = ("backbones", name)
        if not backbone.model:
            if key not in broken:
                known = known_backbones()
                text = f"has no model, and is no known backbone; expected model: NAME, or one of {', '.join(known)}"
                yield Problem(key, f"{text}{nearest(name, known)}")
            continue
        if backbone.like is not None and backbone.like not in known_backbones():
            yield Problem((*key, "like"), unknown("known backbone", backbone.like, known_backbones()))
        yield from _check_precision(name, backbone, config)
        faults = list(_check(key, "model", backbone.model, backbone.sha256, sources))
        yield from faults
        if faults:
            continue
        if sources.model(backbone.model).kind == "hub":
            yield from _check_positions(key, backbone)
            continue
        architecture = _architecture(Path(sources.model(backbone.model).path))
        layers = architecture.get("num_hidden_layers")
        if layers and backbone.layers and backbone.layers > layers:
            yield Problem(
                (*key, "layers"), f"is {backbone.layers}; {backbone.model} has {layers}, expected 1 to {layers}"
            )
        if (deepest := backbone.layers or layers) and any(depth >= deepest for depth in backbone.exits):
            possible = {1: "none: no layer stands before the last", 2: "1"}
            expected = possible.get(deepest, f"some of 1 to {deepest - 1}")
            text = f"are {', '.join(map(str, backbone.exits))}; of {plural(deepest, 'layer')}, expected {expected}"
            yield Problem((*key, "exits"), text)
        positions = architecture.get("max_position_embeddings")
        meant = key not in broken or backbone.max_length is not None
        yield from _check_length(key, backbone, positions if meant else None)


def _check_precision(name: str, backbone: Backbone, config: StudyConfig) -> Iterator[Problem]:
    for section in ("optimizer", "evaluation"):
        precision = getattr(config, section).precision
        # TF32 has the range of fp32: what runs in the one runs in the other.
        if backbone.precisions is not None and {"tf32": "fp32"}.get(precision, precision) not in backbone.precisions:
            text = f"is {precision}, in which {name} does not train or run; expected {' or '.join(backbone.precisions)}"
            yield Problem((section, "precision"), text)


def _check_positions(key: Key, backbone: Backbone) -> Iterator[Problem]:
    """A length beyond what a known model of the Hub takes."""
    model = backbone.model.partition("@")[0]
    positions = next((k.positions for k in known_backbones().values() if k.model == model), None)
    yield from _check_length(key, backbone, positions)


def _check_length(key: Key, backbone: Backbone, positions: int | None) -> Iterator[Problem]:
    longest = longest_pair(backbone)
    if positions is None or longest <= positions:
        return
    text = f"is {longest}; {backbone.model} takes {positions} tokens, expected at most that"
    if backbone.pair_tokens is None:
        text = f"makes with query_tokens a pair that {text}"
        yield Problem((*key, "passage_tokens"), text)
    else:
        yield Problem((*key, "max_length"), text)


def _check(key: Key, field: str, model: str, sha256: str | None, sources: Sources) -> Iterator[Problem]:
    try:
        source = sources.model(model)
    except LimbeckError as error:
        yield Problem((*key, field), str(error))
        return
    if sha256 is None:
        return
    if source.kind == "hub":
        yield Problem((*key, "sha256"), f"is given for the Hub id {model}; expected it for local weights only")
        return
    try:
        source.expect(sha256)
    except LimbeckError as error:
        yield Problem((*key, "sha256"), str(error))


def _architecture(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(folder / "config.json", dict, "")
    except LimbeckError:
        # Said better by the loader itself, when the model is loaded.
        return {}
    return found


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
    yield from _check_training(config, values, sources)
    for name, stages in config.recipes.items():
        for number, stage in enumerate(stages):
            key: Key = ("recipes", name, number)
            given = values["recipes"][name][number] if name in (values.get("recipes") or {}) else {}
            yield from _check_objective(key, stage, lists, broken, sources)
            yield from _check_stage_length(key, stage, given, sources)
            yield from _check_batch(key, stage, given, config)
            if "learning_rate" not in given and slow:
                text = (
                    f"has no learning_rate, and neither has the backbone {', '.join(slow)}; give it in one of the two"
                )
                yield Problem(key, text)
    yield from _check_warmup(config)


def _check_training(config: StudyConfig, values: Any, sources: Sources) -> Iterator[Problem]:
    """What is trained needs queries to train on; what is not needs models that score as they are."""
    if any(config.recipes.values()) and "train" not in (values.get("collections") or {"train": ()}):
        yield Problem(("collections",), "has no train, and recipes have stages: expected the queries to train on")
    untrained = [name for name, stages in config.recipes.items() if not stages]
    for name, backbone in config.backbones.items() if untrained else ():
        if backbone.exits:
            text = f"are trained, and the recipe {untrained[0]} trains nothing; expected stages in it"
            yield Problem(("backbones", name, "exits"), text)
        if backbone.model and _is_headless(backbone.model, sources):
            text = f"is {backbone.model}, which has no scoring head, and the recipe {untrained[0]} trains none"
            yield Problem(("backbones", name, "model"), f"{text}; expected a cross-encoder, or stages in the recipe")


def _is_headless(model: str, sources: Sources) -> bool:
    """Whether a model is known to have no scoring head; of one of the Hub that is not known, nothing is said."""
    if not sources.is_found(model) or sources.model(model).kind == "hub":
        return model.partition("@")[0] in {each.model for each in known_backbones().values()}
    folder = Path(sources.model(model).path)
    classes = _architecture(folder).get("architectures") or ()
    modular = (folder / "modules.json").exists()  # whose head is a module of its own
    return bool(classes) and not modular and not any("Classification" in str(name) for name in classes)


def _check_stage_length(key: Key, stage: Stage, given: Any, sources: Sources) -> Iterator[Problem]:
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
