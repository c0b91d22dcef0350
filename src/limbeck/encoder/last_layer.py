"""The last layer for the first token alone, where the scoring head reads no other.

Keys and values are computed for all tokens, queries and everything after them for the first: the same score for 2 of a
layer's 12 parts of work (Vaswani et al. 2017, section 3: 4 H² weights in attention, 8 H² in the feed-forward part).
"""

from types import MethodType
from typing import Any

import torch

from limbeck.encoder.attention import FIRST_TOKEN_FAMILIES
from limbeck.encoder.layers import layers_of
from limbeck.encoder.packed import Sequences


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
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.bert.modeling_bert import eager_attention_forward

    part = layer.attention.self

    def by_heads(projected: torch.Tensor) -> torch.Tensor:
        return projected.view(*projected.shape[:-1], -1, part.attention_head_size).transpose(1, 2)

    first = hidden_states[:, :1] if sequences is None else hidden_states[:, sequences.first]
    attend = ALL_ATTENTION_FUNCTIONS.get_interface(part.config._attn_implementation, eager_attention_forward)
    context, _weights = attend(
        part,
        by_heads(part.query(first)),
        by_heads(part.key(hidden_states)),
        by_heads(part.value(hidden_states)),
        None if attention_mask is None else attention_mask[:, :, :1],
        dropout=part.dropout.p if layer.training else 0.0,
        scaling=part.scaling,
        sequences=sequences,
    )
    output: torch.Tensor = layer.feed_forward_chunk(layer.attention.output(context.flatten(-2), first))
    return output if sequences is None else output.transpose(0, 1)
