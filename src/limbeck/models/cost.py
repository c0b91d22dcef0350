"""What a model costs: its arithmetic and how fast a machine does it, and how many tokens fit into memory."""

import time
from typing import Any

import numpy as np
import torch
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike

from limbeck.core.devices import autocast, free_memory
from limbeck.kernels.attention import takes_flash
from limbeck.kernels.layers import layers_of
from limbeck.models.families import family_of

ROWS = 2048  # of the measured product: about a micro-batch of tokens
LARGE = 8192  # rows and columns of the product that a GPU is measured by
ROUNDS = 5

CPU_TRAINING_TOKENS, CPU_SCORING_TOKENS = 2048, 4096
"""Tokens of one micro-batch on a CPU, whose caches they suit (docs/LOG.md)."""

CPU_GRAPH_TOKENS = 12288
"""Tokens whose graphs are kept at once on a CPU."""

MOST_TOKENS = 1 << 16
"""Of one micro-batch on a GPU: by then its products are as large as it can use."""

SHARE = 0.5
"""Of what is free that is counted on: the estimates below are within a factor of about 1.5."""

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""Precision → dtype of activations, where it is not float32."""


def flops_by_length(model: Any) -> Polynomial:
    """Floating-point operations of the products of one forward and backward pass over a sequence, by its tokens.

    Two for each weight of a layer's linear maps and token, four for each pair of tokens of a sequence and hidden unit,
    and twice as many backward (Chowdhery et al. 2022, "PaLM", arXiv 2204.02311, appendix B). Padding and replays are no
    part of it, nor what the last layer need not compute (`limbeck.kernels.layers`).
    """
    layers, hidden = layers_of(model), model.config.hidden_size
    weights = sum(map(_weights, layers))
    forward = Polynomial([0.0, 2 * weights, 4 * hidden * len(layers)])
    if family_of(model).bert_layers:
        # Of the last layer, keys and values of all tokens, and the rest of the first one alone.
        last, keys_and_values = _weights(layers[-1]), 2 * hidden**2
        forward -= Polynomial([0.0, 2 * last, 4 * hidden])
        forward += Polynomial([2 * (last - keys_and_values), 2 * keys_and_values + 4 * hidden])
    return 3 * forward


def training_flops(model: Any, lengths: ArrayLike) -> float:
    """`flops_by_length` of sequences [n], together."""
    return float(flops_by_length(model)(np.asarray(lengths, np.float64)).sum())


def product_rate(model: Any, precision: str) -> float:
    """Operations per second of one product, the best of a few.

    On the CPU in the shape of the backbone's feed-forward part; on a GPU a large one, timed by the device itself, for a
    small one measures launches.
    """
    config, dtype = model.config, HALF.get(precision, torch.float32)
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


def graph_bytes(config: Any, precision: str, longest: int = 0) -> int:
    """Bytes that the graph of one token keeps until its backward pass, in all layers. An estimate.

    34 for each hidden unit of a layer, and 5 for each head and token of the sequence, where activations are of 16 bits;
    twice that in 32 (Korthikanti et al. 2022, arXiv 2205.05198, section 4.1).

    Args:
        longest: tokens of a sequence; 0 with flash attention, which keeps no weights of pairs of tokens.
    """
    layer = 34 * config.hidden_size + 5 * config.num_attention_heads * longest
    return int((1 if precision in HALF else 2) * config.num_hidden_layers * layer)


def training_tokens(model: Any, precision: str, packed: bool, longest: int, processes: int = 1) -> tuple[int, int]:
    """Tokens of one micro-batch, and tokens whose graphs are kept at once, when a model trains on its device.

    On CUDA powers of two by what is free beside gradients and AdamW's two moments.

    Args:
        precision: one that `choose_precision` gave.
        packed: whether micro-batches are packed rows.
        longest: tokens of the longest pair.
        processes: those that weights are divided among.
    """
    free = free_memory(model.device)
    if free is None:
        return CPU_TRAINING_TOKENS, CPU_GRAPH_TOKENS
    free -= 12 * sum(weight.numel() for weight in model.parameters()) // processes
    graphs = _power_of_two(
        SHARE * free / graph_bytes(model.config, precision, _held(model, precision, packed, longest))
    )
    return min(graphs, MOST_TOKENS), graphs


def scoring_tokens(model: Any, precision: str, packed: bool, longest: int) -> int:
    """Tokens of one micro-batch when a model scores on its device, as in `training_tokens`, but one layer at a time."""
    free = free_memory(model.device)
    if free is None:
        return CPU_SCORING_TOKENS
    layer = (
        graph_bytes(model.config, precision, _held(model, precision, packed, longest)) / model.config.num_hidden_layers
    )
    return min(_power_of_two(SHARE * free / layer), MOST_TOKENS)


def _held(model: Any, precision: str, packed: bool, longest: int) -> int:
    """Tokens that each token's attention weights are held for."""
    width = model.config.hidden_size // model.config.num_attention_heads
    flash = packed and takes_flash(model.device, HALF.get(precision, torch.float32), width)
    return 0 if flash else longest


def _power_of_two(tokens: float) -> int:
    """The largest power of two within it, which stays the same where a little less is free; at least 512."""
    return max(1 << max(int(tokens), 1).bit_length() - 1, 512)
