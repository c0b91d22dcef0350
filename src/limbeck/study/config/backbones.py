"""Backbones known by a short name, from `backbones.yaml`: what a study need not describe."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from limbeck.core.yaml_file import read_yaml


@dataclass(frozen=True)
class KnownBackbone:
    """A backbone's Hub id, how it is trained where a study does not say, and what is known of it (see the file)."""

    model: str
    learning_rate: float
    batch: int
    precisions: list[str]
    parameters: str
    licence: str
    architecture: str
    tokenizer: str
    shape: dict[str, Any]
    positions: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The keys of a study's backbone."""
        return {name: getattr(self, name) for name in ("model", "learning_rate", "batch", "precisions")}


@cache
def known_backbones() -> Mapping[str, KnownBackbone]:
    """Short name → backbone."""
    document = read_yaml((files("limbeck.study.config") / "backbones.yaml").read_text(encoding="utf-8"))
    return {name: KnownBackbone(**values) for name, values in document.values.items()}


def with_known(value: Any) -> Any:
    """The `backbones` of a study file, those of known names filled in; what is given there wins."""
    if not isinstance(value, dict):
        return value
    filled = {}
    for name, given in value.items():
        known = known_backbones().get(name)
        if known is not None and (given is None or (isinstance(given, dict) and "model" not in given)):
            filled[name] = {**known.settings, **(given or {})}
        else:
            filled[name] = given
    return filled
