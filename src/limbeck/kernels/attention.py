"""Attention: the one part of a backbone that has to know where a sequence ends; and where it ends, in packed rows.

A packed row holds the sequences of a micro-batch one behind another, without padding in any matrix product. Packed rows
attend on CUDA in half precision by torch's flash attention (Dao 2023, arXiv 2307.08691); elsewhere their
sequences are laid side by side for attention alone, and packed again.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import scaled_dot_product_attention

from limbeck.core.devices import to_device
from limbeck.kernels.layers import dropout as dropped
from limbeck.models.families import family_of
from limbeck.tokens.store import ranges


@dataclass(frozen=True)
class Sequences:
    """Where the sequences of a packed row are.

    Attributes:
        lengths: [n] tokens of each.
        device: where attention is computed.
    """

    lengths: NDArray[np.int64]
    device: torch.device

    def prepared(self, flash: bool) -> "Sequences":
        """Itself, with all that attention will ask for at hand: compiled layers would break where it is made."""
        names = ("longest", "bounds", "first", "positions")
        for name in names if flash else (*names, "owners", "counts", "places", "mask"):
            getattr(self, name)
        return self

    @property
    def count(self) -> int:
        """How many there are. Not asked of `lengths`, for what is compiled must not meet an array of numpy's."""
        return self.bounds.shape[0] - 1

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return int(self.lengths.max())

    @cached_property
    def bounds(self) -> torch.Tensor:
        """Where each begins, and where the last ends: int32 [n + 1], as flash attention wants it."""
        return self._moved(np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int32))

    @cached_property
    def first(self) -> torch.Tensor:
        """Place of each sequence's first token, int64 [n]."""
        return self.bounds[:-1].long()

    @cached_property
    def last(self) -> torch.Tensor:
        """Place of each sequence's last token, int64 [n]."""
        return self.bounds[1:].long() - 1

    @cached_property
    def owners(self) -> torch.Tensor:
        """Which sequence each token belongs to, int64 [tokens]."""
        return self._moved(np.repeat(np.arange(self.count), self.lengths))

    @cached_property
    def counts(self) -> torch.Tensor:
        """Tokens of each sequence, int64 [n, 1]."""
        return self._moved(self.lengths[:, None])

    @cached_property
    def positions(self) -> torch.Tensor:
        """Position of each token in its sequence, from 0, int64 [tokens]."""
        return self._moved(ranges(np.zeros_like(self.lengths), self.lengths))

    @cached_property
    def places(self) -> torch.Tensor:
        """Place of each token were the sequences padded to the longest, int64 [tokens]."""
        return self.owners * self.longest + self.positions

    @cached_property
    def mask(self) -> torch.Tensor | None:
        """Which places of the padded sequences hold a token, bool [n, 1, 1, longest]; None without padding."""
        if (self.lengths == self.longest).all():
            return None
        return self._moved(np.arange(self.longest) < self.lengths[:, None])[:, None, None]

    def padded(self, packed: torch.Tensor) -> torch.Tensor:
        """[n, heads, longest, width] from [1, heads, tokens, width]; zeros where there is no token."""
        rows = packed.squeeze(0).transpose(0, 1)
        if self.mask is not None:
            wide = rows.new_zeros(self.count * self.longest, *rows.shape[1:])
            rows = wide.index_copy(0, self.places, rows)
        return rows.view(self.count, self.longest, *rows.shape[1:]).transpose(1, 2)

    def packed(self, padded: torch.Tensor) -> torch.Tensor:
        """[1, tokens, heads, width] from [n, heads, longest, width]."""
        rows = padded.transpose(1, 2).flatten(0, 1)
        return (rows if self.mask is None else rows.index_select(0, self.places))[None]

    def _moved(self, array: NDArray[Any]) -> torch.Tensor:
        return to_device(array, self.device)


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
