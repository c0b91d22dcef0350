"""What a backbone is built like, without its weights, and how fast a machine trains one of that shape.

Enough to count its arithmetic, to build a small one, and to time a random one in its real shape.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from limbeck.core.devices import autocast, choose_precision
from limbeck.core.errors import UsageError
from limbeck.core.json_files import Schema, read_json
from limbeck.models.cost import training_flops, training_tokens
from limbeck.models.families import family_of
from limbeck.models.word_matching import wider
from limbeck.study.config.resolver import Sources, known_downloads
from limbeck.study.config.schema import Backbone, known_backbones, longest_pair
from limbeck.study.config.study import Study


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
    source, found = sources.model(backbone.model), None
    if source.kind != "hub":
        found = _described(Path(source.path))
    else:
        known = known_backbones()
        like = next((each for each in known.values() if each.model == source.path), known.get(backbone.like or ""))
        found = Architecture(like.architecture, like.tokenizer, like.shape) if like else None
    if found and backbone.match_words and found.kind == "bert":
        size, heads = wider(found.shape["hidden_size"], found.shape["num_attention_heads"])
        found = replace(found, shape={**found.shape, "hidden_size": size, "num_attention_heads": heads})
    return found


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


TOKENS = 96  # about an MS MARCO pair
ROUNDS = 2
BASE = 50e6
"""Weights outside of embeddings from which on products are large enough to fill an H100."""
STATED = (
    "one H100 at 150 TFLOP/s in bf16 (50 for backbones of less than 50 M weights), half of it in tf32, a fifth in fp32"
)
"""The rates of `stated_rate` in words. They are assumptions, and no measurements: `--measure` measures."""
_SHARES = {"bf16": 1.0, "tf32": 0.5, "fp32": 0.2}


def stated_rate(weights: float, precision: str) -> float:
    """Operations in a second that a plan assumes for a backbone of so many weights outside of embeddings."""
    return (150e12 if weights >= BASE else 50e12) * _SHARES[precision]


def flops_per_second(study: Study, console: Console) -> dict[str, float]:
    """Backbone → operations per second of forward and backward passes, the best of a few rounds after one to warm up.

    On the accelerator if there is one, in the study's precision, on about one micro-batch of pairs of equal length.
    UsageError for a backbone whose shape is not known.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rates: dict[tuple[str, int | None], float] = {}
    found = {}
    for name, backbone in study.config.backbones.items():
        key = (backbone.model, backbone.layers)
        if key not in rates:
            architecture = architecture_of(backbone, study.sources)
            if architecture is None:
                raise UsageError(f"backbones.{name}: its shape is not known here; write `like: NAME` of a known one")
            model = architecture.model(backbone.layers, device)
            optimizer, tokens = study.config.optimizer, min(TOKENS, longest_pair(backbone))
            precision = choose_precision(optimizer.precision, model.device, family_of(model).fp16).name
            budget = optimizer.token_budget or training_tokens(model, precision, False, tokens)[0]
            # On a CPU, so few that the largest backbones take seconds.
            pairs = max(1, budget // TOKENS) if device == "cuda" else 4
            rates[key] = _rate(model, pairs, tokens, precision)
            console.print(f"{name}: {rates[key]:.2e} operations a second on {device}", highlight=False)
        found[name] = rates[key]
    return found


def _rate(model: Any, pairs: int, tokens: int, precision: str) -> float:
    ids = torch.randint(model.config.vocab_size, (pairs, tokens), device=model.device)
    mask = torch.ones_like(ids)

    def seconds() -> float:
        began = time.perf_counter()
        with autocast(model.device, precision):
            scores = model(input_ids=ids, attention_mask=mask).logits
        scores.float().sum().backward()
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        return time.perf_counter() - began

    seconds()
    return training_flops(model, [tokens] * pairs) / min(seconds() for _ in range(ROUNDS))
