"""How fast this machine trains a backbone: a short run of a random model in its real shape."""

import time
from typing import Any

import torch
from rich.console import Console

from limbeck.core.devices import autocast, choose_precision
from limbeck.core.errors import UsageError
from limbeck.models.cost import training_flops, training_tokens
from limbeck.models.families import family_of
from limbeck.study.config.schema import longest_pair
from limbeck.study.config.study import Study
from limbeck.study.plan.architecture import architecture_of

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
