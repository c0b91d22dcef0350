"""How many tokens fit into a device's memory: what the sizes of micro-batches follow from where nothing is said."""

from typing import Any

import torch

from limbeck.core.devices import free_memory
from limbeck.kernels.attention import takes_flash

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
