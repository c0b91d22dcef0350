"""LoRA adapters, as peft writes them, merged into the weights that they are for.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv 2106.09685): W + scale · B A.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limbeck.core.errors import DataError, LimbeckError, MissingError, UsageError
from limbeck.models.sources import ModelSource, resolve

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_ROOT = "base_model.model."  # what peft puts before the names of a model's weights


@dataclass(frozen=True)
class Adapter:
    """An adapter's settings and tensors, by the names of the model's weights and what they are for (`lora_A`, …)."""

    settings: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]

    @property
    def base(self) -> str:
        """Name of the model that it was trained on."""
        return str(self.settings.get("base_model_name_or_path") or "")

    @property
    def whole(self) -> dict[str, torch.Tensor]:
        """Weights that it holds whole (`modules_to_save`), such as a scoring head."""
        return {name: tensor for name, tensor in self.tensors.items() if ".lora_" not in name}


def read_adapter(source: ModelSource) -> Adapter | None:
    """The LoRA adapter of a checkpoint, beside or in place of its weights; None where it has none.

    Raises:
        UsageError: an adapter of another kind, whose effect would be lost.
        DataError: its files cannot be read.
        MissingError: its weights are not there.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    settings = source.json(CONFIG)
    if settings is None:
        return None
    if not isinstance(settings, dict):
        raise DataError(f"{source.name}: {CONFIG} holds a {type(settings).__name__}, expected a JSON object")
    kind = str(settings.get("peft_type"))
    unknown = [key for key in ("use_dora", "lora_bias", "target_parameters") if settings.get(key)]
    if kind != "LORA" or unknown:
        raise UsageError(
            f"{source.name}: {CONFIG} is of an adapter of the kind {' '.join([kind, *unknown])}; expected plain LoRA. "
            "Merge it with peft (merge_and_unload), save the model, and name that folder"
        )
    file = source.file(WEIGHTS)
    if file is None:
        raise MissingError(
            f"{source.name}: {CONFIG} names an adapter, and {WEIGHTS} is not there; expected both or none"
        )
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None
    named = {name.removeprefix(_ROOT).replace(".modules_to_save.", "."): tensor for name, tensor in tensors.items()}
    return Adapter(settings, named)


def base_of(adapter: Adapter, source: ModelSource) -> ModelSource:
    """The model that an adapter without weights beside it is for: where its files say, or beside the adapter."""
    if not adapter.base:
        raise MissingError(
            f"{source.name}: an adapter without a model; expected base_model_name_or_path in adapter_config.json"
        )
    try:
        return resolve(adapter.base)
    except LimbeckError as error:
        raise MissingError(f"{source.name}: an adapter of {adapter.base}, which cannot be had ({error})") from None


@contextmanager
def without_adapter(source: ModelSource, adapter: Adapter | None) -> Iterator[str]:
    """What transformers is to load: where an adapter is beside the weights, a folder without it.

    For with peft installed transformers would apply it too.
    """
    if adapter is None or source.file(CONFIG) is None:
        yield source.path
        return
    folder = Path(source.path)
    if source.kind == "hub":
        from huggingface_hub import snapshot_download

        away = source.options().get("local_files_only", False)
        folder = Path(snapshot_download(source.path, revision=source.revision, local_files_only=away))
    with tempfile.TemporaryDirectory(prefix="limbeck-") as aside:
        for file in folder.iterdir():
            if file.is_file() and not file.name.startswith("adapter_"):
                (Path(aside) / file.name).symlink_to(file.resolve())
        yield aside


def merge(model: torch.nn.Module, adapter: Adapter, source: ModelSource) -> None:
    """Add an adapter to the weights of its model.

    Raises:
        DataError: it is for weights that the model does not have, or that have another shape.
    """
    weights, settings, used = dict(model.named_parameters()), adapter.settings, set()
    with torch.no_grad():
        for name, down in adapter.tensors.items():
            if name.endswith(".lora_A.weight"):
                module = name.removesuffix(".lora_A.weight")
                up = adapter.tensors.get(f"{module}.lora_B.weight")
                weight = weights.get(f"{module}.weight")
                if up is not None and weight is not None:
                    change = _scale(settings, module, len(down)) * (up.float() @ down.float())
                    change = change.T if settings.get("fan_in_fan_out") else change
                    if change.shape == weight.shape:
                        weight.add_(change)
                        used |= {name, f"{module}.lora_B.weight"}
            elif ".lora_" not in name and name in weights and weights[name].shape == down.shape:
                weights[name].copy_(down)
                used.add(name)
    unused = sorted(set(adapter.tensors) - used)
    if unused:
        raise DataError(
            f"{source.name}: {len(unused)} tensors of {Path(WEIGHTS).name} are for no weight of the "
            f"{type(model).__name__}, the first is {unused[0]}; expected an adapter of this model"
        )


def _scale(settings: Mapping[str, Any], module: str, rank: int) -> float:
    alpha = _of(settings.get("alpha_pattern"), module, settings.get("lora_alpha", 8))
    return float(alpha) / (rank**0.5 if settings.get("use_rslora") else rank)


def _of(pattern: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """A module's own value: patterns are ends of names, or regular expressions of ends."""
    return next((value for key, value in (pattern or {}).items() if re.fullmatch(rf"(.*\.)?({key})", module)), default)
