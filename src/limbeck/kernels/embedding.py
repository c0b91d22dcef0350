"""Word embeddings whose gradient touches only the rows that were looked up.

torch's own makes a gradient as large as the vocabulary for each micro-batch and adds it to the one before: for MiniLM
47 MB of zeros, written and added, for a few hundred rows.
"""

from typing import Any

import torch


def touch_used_rows_only(model: Any) -> None:
    """Let the word embeddings of a model add to their gradient so; weights and names stay as they are.

    Not for a model divided among processes, whose gradients are gathered by torch itself.
    """
    words = model.get_input_embeddings()
    if type(words) is torch.nn.Embedding and not words.sparse:
        words.__class__ = RowEmbedding


class RowEmbedding(torch.nn.Embedding):
    """`torch.nn.Embedding` with a gradient that is added in place, row by row."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """[*, width] from token ids [*]."""
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(input)
        found: torch.Tensor = _Lookup.apply(self.weight, input, self.padding_idx)  # type: ignore[no-untyped-call]
        return found


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, weight: torch.Tensor, rows: torch.Tensor, padding: int | None) -> torch.Tensor:
        context.save_for_backward(rows)
        context.weight, context.padding = weight, padding
        return torch.nn.functional.embedding(rows, weight)

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[None, None, None]:  # type: ignore[override]
        (rows,) = context.saved_tensors
        weight = context.weight
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        kept = rows.flatten()
        gradients = grad.flatten(0, -2)
        if context.padding is not None:
            gradients = gradients * (kept != context.padding)[:, None]
        weight.grad.index_add_(0, kept, gradients.to(weight.dtype))
        return None, None, None
