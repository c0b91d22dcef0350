"""Attention: the one part of a backbone that has to know where a sequence ends.

Packed rows attend on CUDA in half precision by torch's flash attention (Dao 2023, arXiv 2307.08691); elsewhere their
sequences are laid side by side for attention alone, and packed again.
"""

from functools import cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from limbeck.kernels.layers import dropout as dropped
from limbeck.kernels.packed import Sequences
from limbeck.models.families import family_of

PADDED, PACKED = "limbeck_padded", "limbeck_packed"
"""Under which the attention function is registered in transformers, for padded batches and for packed rows."""

MOST_FLASH_WIDTH = 256
"""Widest head of torch's flash attention."""

MOST_PLAIN_TOKENS = 1024
"""Longest sequence whose attention weights are held whole."""


def attention_path(model: Any, packed: bool, precision: str, pads: bool = True) -> str:
    """In words, how a model computes when it trains."""
    name, device = model.config.model_type, model.device.type
    if not packed and not pads:
        return f"batches of equal length on {device}: padding would change the scores of this {name}"
    if not packed:
        why = (
            "" if family_of(model).packs else f": the attention of a {name} cannot be told where a packed sequence ends"
        )
        return f"padded batches of nearly equal length on {device}{why}"
    why = "no CUDA device" if device != "cuda" else f"precision {precision}" if precision in ("fp32", "tf32") else ""
    if not why and not has_flash(model.device):
        why = "this GPU has none, it is from before Ampere"
    width = model.config.hidden_size // model.config.num_attention_heads
    if not why and width > MOST_FLASH_WIDTH:
        why = f"heads of {width} values"
    if not why:
        return "packed rows without padding, flash attention"
    return f"packed rows without padding, laid side by side for attention alone ({why}: no flash attention)"


@cache
def has_flash(device: torch.device) -> bool:
    """Whether a device computes flash attention: torch's kernels begin with Ampere."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def takes_flash(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    """Whether packed rows attend by flash attention, with heads of a width and queries of a dtype."""
    return dtype in (torch.float16, torch.bfloat16) and width <= MOST_FLASH_WIDTH and has_flash(device)


def use_our_attention(model: Any, packed: bool) -> None:
    """Let a scoring model of a family that packs attend as `attend` does.

    A packed one reads packed rows, and no others, given their `Sequences`.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(PADDED, attend)
    AttentionInterface.register(PACKED, attend)
    AttentionMaskInterface.register(PADDED, sdpa_mask)
    AttentionMaskInterface.register(PACKED, lambda *_, **__: None)
    model.set_attn_implementation(PACKED if packed else PADDED)
    if packed and family_of(model).pools_rows:
        model.base_model.register_forward_hook(_pooled, with_kwargs=True)


def _pooled(backbone: Any, _inputs: Any, options: dict[str, Any], output: Any) -> Any:
    """ModernBERT's head pools tokens of a row; hand it one token for each sequence, [n, 1, hidden]."""
    output.last_hidden_state = pooled_rows(output.last_hidden_state, options["sequences"], backbone.config)
    return output


def pooled_rows(states: torch.Tensor, sequences: Sequences, config: Any) -> torch.Tensor:
    """[n, 1, hidden] of [1, tokens, hidden]: one token for each packed sequence, as ModernBERT's settings pool."""
    hidden = states.squeeze(0)
    if config.classifier_pooling == "cls":
        return hidden[sequences.first][:, None]
    sums = hidden.new_zeros(sequences.count, hidden.shape[-1]).index_add(0, sequences.owners, hidden)
    return (sums / sequences.counts)[:, None]


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sequences: Sequences | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each sequence, as transformers calls it: [n, tokens, heads, width] from three transposed ones.

    Padded batches come without `sequences` and with a mask; packed rows as one row, n = 1. With one query for each
    sequence, its first token's, the result has one row for each sequence. A token of a packed row sees those less than
    `sliding_window` away from it.
    """
    if sequences is None:
        return attended(query, key, value, attention_mask, scaling, dropout, module.training).transpose(1, 2), None
    firsts_only = sliding_window is None and query.shape[2] == sequences.count
    if takes_flash(query.device, query.dtype, query.shape[-1]):
        share = dropout if module.training else 0.0
        return flash(query, key, value, scaling, share, sequences, sliding_window, firsts_only), None
    mask = sequences.mask if sliding_window is None else _window(sequences, sliding_window)
    queries = query.squeeze(0).transpose(0, 1)[:, :, None] if firsts_only else sequences.padded(query)
    context = attended(queries, sequences.padded(key), sequences.padded(value), mask, scaling, dropout, module.training)
    return context.transpose(1, 2).flatten(0, 1)[None] if firsts_only else sequences.packed(context), None


def attended(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
    share: float,
    training: bool,
) -> torch.Tensor:
    """[n, heads, queries, width]; `mask` is true where a query sees a key.

    On the CPU, torch's own path draws dropout slowly, and its backward pass in half precision takes longer than plain
    products (docs/LOG.md). Scoring, and tokens too many to hold all their weights, are left to it.
    """
    slow = bool(share) or (training and query.dtype in (torch.float16, torch.bfloat16))
    if query.is_cuda or not slow or key.shape[2] > MOST_PLAIN_TOKENS:
        return scaled_dot_product_attention(query, key, value, mask, dropout_p=share, scale=scaling)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    weights = torch.matmul(query * scale, key.transpose(2, 3))
    if mask is not None:
        # Added, which is faster than filling; not -inf, for padding may see nothing.
        weights += mask.logical_not().to(weights.dtype) * torch.finfo(weights.dtype).min
    weights = weights.softmax(-1)
    return torch.matmul(dropped(weights, share) if share else weights, value)


def flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    share: float,
    sequences: Sequences,
    sliding_window: int | None,
    firsts_only: bool,
) -> torch.Tensor:
    """[1, tokens, heads, width] by torch's flash attention over packed rows, with dropout of a `share` of the weights.

    Not `torch.nn.attention.varlen`, which calls the same kernel without dropout. Its backward pass takes the share and
    the random state that the forward pass drew from, so what was dropped stays dropped. Heads whose width is no
    multiple of 8 are widened by zeros, which changes no product.
    """
    width = query.shape[-1]
    scale = width**-0.5 if scaling is None else scaling
    wider = -width % 8
    query, key, value = (
        (torch.nn.functional.pad(each, (0, wider)) if wider else each).squeeze(0).transpose(0, 1)
        for each in (query, key, value)
    )
    bounds, longest = sequences.bounds, sequences.longest
    reach = -1 if sliding_window is None else sliding_window - 1
    result: torch.Tensor = torch.ops.aten._flash_attention_forward(
        query,
        key,
        value,
        torch.arange(len(bounds), dtype=torch.int32, device=bounds.device) if firsts_only else bounds,
        bounds,
        1 if firsts_only else longest,
        longest,
        share,
        False,
        False,
        scale=scale,
        window_size_left=reach,
        window_size_right=reach,
    )[0]
    return result[None, ..., :width]


def _window(sequences: Sequences, width: int) -> torch.Tensor:
    place = torch.arange(sequences.longest, device=sequences.device)
    near = (place[:, None] - place).abs() < width
    if sequences.mask is None:
        return near
    # Padding sees everything: a row that sees nothing would turn gradients into NaN.
    return (near & sequences.mask) | ~sequences.mask.transpose(2, 3)
