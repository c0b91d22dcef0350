"""Whether backbones and teachers are there, and are what the study says they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError, nearest
from limbeck.core.json_files import read_json
from limbeck.core.yaml_file import Key, Problem
from limbeck.study.config.backbones import known_backbones
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import Backbone, StudyConfig, Teacher, keys_of, longest_pair
from limbeck.study.config.schema_errors import attempt, unknown
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
        positions = architecture.get("max_position_embeddings")
        meant = key not in broken or backbone.max_length is not None
        yield from _check_length(key, backbone, positions if meant else None)


def _check_precision(name: str, backbone: Backbone, config: StudyConfig) -> Iterator[Problem]:
    for section in ("optimizer", "evaluation"):
        precision = getattr(config, section).precision
        if backbone.precisions is not None and precision not in backbone.precisions:
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
