"""The last layer for the first token alone, where the scoring head reads no other.

Keys and values are computed for all tokens, queries and everything after them for the first: the same score for 2 of a
layer's 12 parts of work (Vaswani et al. 2017, section 3: 4 H² weights in attention, 8 H² in the feed-forward part).
"""

from types import MethodType
from typing import Any

import torch

from limbeck.encoder.attention import FIRST_TOKEN_FAMILIES, attention_of
from limbeck.encoder.layers import layers_of
from limbeck.encoder.packed import Sequences
from limbeck.encoder.projections import projected


def first_token_only(model: Any) -> bool:
    """Let the last layer of a sequence-classification model compute its first token alone; whether it can."""
    if model.config.model_type not in FIRST_TOKEN_FAMILIES:
        return False
    layer = layers_of(model)[-1]
    layer.forward = MethodType(_forward, layer)
    return True


def _forward(
    layer: Any,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    *_: Any,
    sequences: Sequences | None = None,
    **options: Any,
) -> torch.Tensor:
    """What the layer gives for each sequence's first token: [sequences, 1, hidden].

    From [sequences, tokens, hidden], or from [1, tokens, hidden] where `sequences` are packed.
    """
    part = layer.attention.self
    first = hidden_states[:, :1] if sequences is None else hidden_states[:, sequences.first]
    (query,) = projected(part, first, ("query",))
    key, value = projected(part, hidden_states, ("key", "value"))
    context, _weights = attention_of(part)(
        part,
        query,
        key,
        value,
        None if attention_mask is None else attention_mask[:, :, :1],
        dropout=part.dropout.p if layer.training else 0.0,
        scaling=part.scaling,
        sequences=sequences,
    )
    output: torch.Tensor = layer.feed_forward_chunk(layer.attention.output(context.flatten(-2), first))
    return output if sequences is None else output.transpose(0, 1)
