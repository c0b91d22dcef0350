"""Query, key and value of a layer from one product with their weights side by side: fewer, larger products."""

from types import MethodType
from typing import Any

import torch
from torch.nn.functional import linear

from limbeck.encoder.attention import FIRST_TOKEN_FAMILIES, attention_of
from limbeck.encoder.layers import layers_of


def project_together(model: Any) -> None:
    """Let the layers of a model of the BERT family compute so; weights and names stay as they are."""
    if model.config.model_type in FIRST_TOKEN_FAMILIES:
        for layer in layers_of(model):
            part: Any = layer.attention.self
            part.forward = MethodType(_forward, part)


def projected(part: Any, hidden_states: torch.Tensor, names: tuple[str, ...]) -> tuple[torch.Tensor, ...]:
    """The named projections of [sequences, tokens, hidden], each [sequences, heads, tokens, width]."""
    maps = [getattr(part, name) for name in names]
    weight, bias = torch.cat([each.weight for each in maps]), torch.cat([each.bias for each in maps])
    together = linear(hidden_states, weight, bias)
    shape = (*hidden_states.shape[:2], len(names), -1, part.attention_head_size)
    return together.view(shape).permute(2, 0, 3, 1, 4).unbind()


def _forward(
    part: Any, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *_: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    """transformers' self-attention, without what decoders need."""
    query, key, value = projected(part, hidden_states, ("query", "key", "value"))
    share = part.dropout.p if part.training else 0.0
    context, _weights = attention_of(part)(
        part, query, key, value, attention_mask, dropout=share, scaling=part.scaling, **options
    )
    return context.flatten(-2), None
