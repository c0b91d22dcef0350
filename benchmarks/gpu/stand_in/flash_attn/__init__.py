"""Stands in for the package flash_attn where that is not installed: torch's own build of the same kernels.

bench.py alone puts it on the path, to measure sentence-transformers with attn_implementation="flash_attention_2".
"""

from typing import Any

import torch

__version__ = "2.8.3"


def flash_attn_varlen_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens_q: torch.Tensor | None,
    cu_seqlens_k: torch.Tensor | None,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] | None = None,
    **_: Any,
) -> torch.Tensor:
    """Attention over packed rows, [tokens, heads, width]."""
    left, right = window_size or (-1, -1)
    result: torch.Tensor = torch.ops.aten._flash_attention_forward(
        q, k, v, cu_seqlens_q, cu_seqlens_k, int(max_seqlen_q), int(max_seqlen_k), dropout_p, causal, False,
        scale=softmax_scale, window_size_left=left, window_size_right=right,
    )[0]  # fmt: skip
    return result


def flash_attn_func(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *values: Any, **options: Any) -> torch.Tensor:
    """Attention over rows of equal length, [rows, tokens, heads, width]."""
    return flash_attn_varlen_func(q, k, v, None, None, q.shape[1], k.shape[1], *values, **options)


def flash_attn_with_kvcache(*_: Any, **__: Any) -> torch.Tensor:
    """Only generating text asks for it."""
    raise NotImplementedError
