"""What a backbone is built like, without its weights: enough to count its arithmetic and to build a small one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.json_files import Schema, read_json
from limbeck.study.config.known import known_backbones, known_downloads
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import Backbone


@dataclass(frozen=True)
class Architecture:
    """A model type of transformers, what its configuration class is told beside it, and the kind of tokeniser."""

    kind: str
    tokenizer: str  # "wordpiece", "bpe" (byte-level) or "unigram"
    shape: Mapping[str, Any]

    def model(self, layers: int | None = None, device: str = "meta") -> Any:
        """The scoring model in its shape, with random weights; on torch's meta device, without memory for them."""
        import torch
        from transformers import AutoConfig, AutoModelForSequenceClassification

        shape = {**self.shape, "num_labels": 1, **({"num_hidden_layers": layers} if layers else {})}
        if layers and "layer_types" in shape:
            shape["layer_types"] = shape["layer_types"][:layers]
        with torch.device(device):
            return AutoModelForSequenceClassification.from_config(AutoConfig.for_model(self.kind, **shape))


def architecture_of(backbone: Backbone, sources: Sources) -> Architecture | None:
    """A backbone's architecture: of a model on this machine as its files say, else as `backbones.yaml` says.

    None for a model of the Hub that is neither there nor stated to be `like` one that is.
    """
    source = sources.model(backbone.model)
    if source.kind != "hub":
        return _described(Path(source.path))
    known = known_backbones()
    found = next((each for each in known.values() if each.model == source.path), known.get(backbone.like or ""))
    return None if found is None else Architecture(found.architecture, found.tokenizer, found.shape)


def encoder_architecture(name: str, sources: Sources) -> Architecture | None:
    """The same of an encoder of first stages; None for one of the Hub that `known_downloads.yaml` does not describe."""
    source = sources.model(name)
    if source.kind != "hub":
        return _described(Path(source.path))
    known = known_downloads()["models"].get(source.path, {})
    return Architecture(known["architecture"], "wordpiece", known["shape"]) if "shape" in known else None


def _described(folder: Path) -> Architecture:
    """From config.json and tokenizer.json; an absent or unknown tokeniser is taken for WordPiece."""
    shape = read_json(folder / "config.json", {"model_type": str}, "fetch the model anew")
    file = folder / "tokenizer.json"
    schema: Schema = {"model": {"type?": (str, None)}}
    model = read_json(file, schema, "fetch the model anew")["model"].get("type") if file.is_file() else None
    kind = shape.pop("model_type")
    shape.pop("architectures", None)
    return Architecture(kind, {"BPE": "bpe", "Unigram": "unigram"}.get(str(model), "wordpiece"), shape)
