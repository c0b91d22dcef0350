"""Flash attention, as far as a machine without CUDA can show it: what torch's kernels are given, without data."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from limbeck.kernels.attention import Sequences, flash

LENGTHS = np.array([7, 3, 11])


class Calls(TorchDispatchMode):
    """Remembers the calls of flash attention's kernels, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, tuple[Any, ...]] = {}

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation._schema.name.removeprefix("aten::")
        if "flash" in name:
            self.made[name] = (args, kwargs or {})
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("width", "window", "firsts"), [(64, None, False), (64, None, True), (12, None, False), (64, 5, False)]
)
def test_the_kernel_gets_packed_rows_dropout_and_window_and_its_backward_pass_the_same(
    width: int, window: int | None, firsts: bool
) -> None:
    tokens = int(LENGTHS.sum())
    with Calls() as calls:
        shape = (1, 2, len(LENGTHS) if firsts else tokens, width)
        query = torch.empty(shape, device="meta", dtype=torch.bfloat16, requires_grad=True)
        key, value = (
            torch.empty((1, 2, tokens, width), device="meta", dtype=torch.bfloat16, requires_grad=True)
            for _ in range(2)
        )
        sequences = Sequences(LENGTHS, torch.device("meta"))
        sequences.__dict__["bounds"] = torch.empty(4, device="meta", dtype=torch.int32)
        found = flash(query, key, value, None, 0.1, sequences, window, firsts)
        assert found.shape == (1, shape[2], 2, width)
        found.sum().backward()
        assert query.grad is not None
        assert query.grad.shape == query.shape
    forward, options = calls.made["_flash_attention_forward"]
    wide = width + -width % 8
    assert forward[0].shape == (shape[2], 2, wide)
    assert forward[5:8] == (1 if firsts else 11, 11, 0.1)
    assert options["scale"] == pytest.approx(width**-0.5)
    reach = -1 if window is None else window - 1
    assert (options["window_size_left"], options["window_size_right"]) == (reach, reach)
    back, options = calls.made["_flash_attention_backward"]
    assert back[8:11] == (1 if firsts else 11, 11, 0.1)  # of its arguments: longest query, longest key, dropout
    assert options["scale"] == pytest.approx(width**-0.5)
    assert (options["window_size_left"], options["window_size_right"]) == (reach, reach)
