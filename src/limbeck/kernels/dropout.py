"""Dropout that draws 16 random bits for an element: on the CPU eight times as fast as torch's.

Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting". The share dropped is the
multiple of 1/65536 nearest to the one asked for, and the kept elements are scaled by what is really kept.
"""

from typing import Any

import numpy as np
import torch
from torch.nn.functional import dropout as torch_dropout

_STEPS = 1 << 16


def dropout(values: torch.Tensor, share: float) -> torch.Tensor:
    """Values of which `share` are dropped at random, by torch's default generator, and the others scaled up."""
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return torch_dropout(values, share)
    dropped = round(share * _STEPS)
    if not 0 < dropped < _STEPS:
        return torch_dropout(values, share)
    result: torch.Tensor = _Dropout.apply(values, dropped)  # type: ignore[no-untyped-call]
    return result


def use_fast_dropout(model: torch.nn.Module) -> None:
    """Let every dropout layer of a model draw so; weights and names stay as they are."""
    for module in model.modules():
        if type(module) is torch.nn.Dropout:
            module.__class__ = FastDropout


class FastDropout(torch.nn.Dropout):
    """`torch.nn.Dropout`, drawn by `dropout`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """The input itself outside training."""
        return dropout(input, self.p) if self.training and self.p else input


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor, dropped: int) -> torch.Tensor:
        words = _words(values.numel())
        # Not booleans: torch compares into them, and converts them, four to eight times as slowly (docs/LOG.md).
        kept = torch.ge(words, dropped - _STEPS // 2, out=words).to(torch.int8).view(values.shape)
        context.save_for_backward(kept)
        context.scale = _STEPS / (_STEPS - dropped)
        return _scaled(values, kept, context.scale)

    @staticmethod
    def backward(context: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        (kept,) = context.saved_tensors
        return _scaled(grad, kept, context.scale), None


def _words(count: int) -> torch.Tensor:
    """Random 16-bit numbers, [count], from numpy's fastest generator with a seed from torch's."""
    seed = int(torch.empty((), dtype=torch.int64).random_())
    generator = np.random.Generator(np.random.SFC64(seed))
    drawn = generator.integers(-(1 << 63), (1 << 63) - 1, (count + 3) // 4, np.int64, endpoint=True)
    return torch.from_numpy(drawn).view(torch.int16)[:count]


def _scaled(values: torch.Tensor, kept: torch.Tensor, scale: float) -> torch.Tensor:
    return kept.to(values.dtype).mul_(scale).mul_(values)
