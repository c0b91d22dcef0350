"""How much arithmetic a model needs, and how fast a machine does it: what speed is measured against."""

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from limbeck.core.devices import autocast
from limbeck.kernels.layers import layers_of
from limbeck.models.families import family_of

ROWS = 2048  # of the measured product: about a micro-batch of tokens
LARGE = 8192  # rows and columns of the product that a GPU is measured by
ROUNDS = 5


def training_flops(model: Any, lengths: ArrayLike) -> float:
    """Floating-point operations of the products that one forward and backward pass over sequences [n] needs.

    Two for each weight of a layer's linear maps and token, four for each pair of tokens of a sequence and hidden unit,
    and twice as many backward (Chowdhery et al. 2022, "PaLM", arXiv 2204.02311, appendix B). Padding and replays are no
    part of it, nor what the last layer need not compute (`limbeck.kernels.layers`).
    """
    tokens = np.asarray(lengths, np.float64)
    hidden = model.config.hidden_size
    layers = [2 * tokens.sum() * _weights(layer) + 4 * hidden * np.square(tokens).sum() for layer in layers_of(model)]
    if family_of(model).bert_layers:
        keys_and_values = 2 * hidden**2
        last = _weights(layers_of(model)[-1])
        layers[-1] = 2 * tokens.sum() * keys_and_values + 2 * len(tokens) * (last - keys_and_values)
        layers[-1] += 4 * hidden * tokens.sum()
    return 3 * float(sum(layers))


def product_rate(model: Any, precision: str) -> float:
    """Operations per second of one product, the best of a few.

    On the CPU in the shape of the backbone's feed-forward part; on a GPU a large one, timed by the device itself, for a
    small one measures launches.
    """
    config, dtype = model.config, {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    if model.device.type == "cuda":
        square = torch.ones(LARGE, LARGE, device=model.device, dtype=dtype)
        with autocast(model.device, "tf32" if precision == "tf32" else "fp32"):
            return 2.0 * LARGE**3 / min(_device_seconds(square) for _ in range(ROUNDS))
    inner = getattr(config, "intermediate_size", 4 * config.hidden_size)
    left = torch.ones(ROWS, config.hidden_size, device=model.device, dtype=dtype)
    right = torch.ones(config.hidden_size, inner, device=model.device, dtype=dtype)
    return 2.0 * left.numel() * float(inner) / min(_seconds(left, right) for _ in range(ROUNDS))


def _device_seconds(square: torch.Tensor) -> float:
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    began.record()
    torch.mm(square, square)
    ended.record()
    ended.synchronize()
    return float(began.elapsed_time(ended)) / 1e3


def _seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    began = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - began


def _weights(layer: torch.nn.Module) -> int:
    return sum(part.weight.numel() for part in layer.modules() if isinstance(part, torch.nn.Linear))
