"""Whether backbones and teachers are there, and are what the study says they are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limbeck.errors import LimbeckError
from limbeck.study.schema import StudyConfig
from limbeck.study.sources import Sources
from limbeck.study.yaml_file import Key, Problem


def check_models(config: StudyConfig, broken: set[Key], sources: Sources) -> Iterator[Problem]:
    """Problems of `backbones` and `teachers`, some of which are `broken` otherwise.

    A Hub id is taken at its word: nothing is fetched here.
    """
    for name, teacher in config.teachers.items():
        yield from _check(("teachers", name), "biencoder", teacher.biencoder, teacher.sha256, sources)
    for name, backbone in config.backbones.items():
        key: Key = ("backbones", name)
        faults = list(_check(key, "model", backbone.model, backbone.sha256, sources))
        yield from faults
        if faults or sources.model(backbone.model).kind == "hub":
            continue
        architecture = _architecture(Path(sources.model(backbone.model).path))
        layers = architecture.get("num_hidden_layers")
        if layers and backbone.layers and backbone.layers > layers:
            yield Problem(
                (*key, "layers"), f"is {backbone.layers}; {backbone.model} has {layers}, expected 1 to {layers}"
            )
        positions = architecture.get("max_position_embeddings")
        meant = key not in broken or "max_length" in backbone.model_fields_set
        if meant and positions and backbone.max_length > positions:
            text = f"is {backbone.max_length}; {backbone.model} takes {positions} tokens, expected at most that"
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
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Said better by the loader itself, when the model is loaded.
        return {}
    return found if isinstance(found, dict) else {}
