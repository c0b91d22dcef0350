"""Compiled layers: the same scores, gradients and replays, compiled once for all lengths."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from limbeck.models.cross_encoder import CrossEncoder

pytestmark = [
    pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile wants g++ on the CPU"),
    pytest.mark.skipif(
        "LIMBECK_TEST_COMPILED" not in os.environ, reason="compiles for a minute: LIMBECK_TEST_COMPILED=1"
    ),
]
Folder = Callable[[str], Path]


@pytest.mark.parametrize("packed", [False, True])
def test_compiled_layers_give_the_same_once_for_all_lengths(
    packed: bool, family_folder: Folder, some_pairs: list[tuple[str, str]]
) -> None:
    import torch._dynamo.utils as dynamo

    encoders = [
        CrossEncoder.load(family_folder("bert"), device="cpu", packed=packed, compiled=compiled, dropout=0.1)
        for compiled in (False, True)
    ]
    pairs, query_rows, passage_rows = encoders[0].stored(some_pairs)
    graphs = []
    for part in (slice(0, 3), slice(3, 9), slice(9, 14), slice(0, 14)):
        found = []
        for encoder in encoders:
            encoder.model.eval()
            encoder.model.zero_grad()
            scores = encoder.logits(pairs, query_rows[part], passage_rows[part])
            scores.square().sum().backward()
            found.append((scores, [weight.grad for weight in encoder.model.parameters()]))
        torch.testing.assert_close(found[1][0], found[0][0], rtol=0, atol=1e-5)
        for ours, expected in zip(found[1][1], found[0][1], strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
        graphs.append(dynamo.counters["stats"]["unique_graphs"])
    assert graphs[0] > 0
    assert graphs[-1] == graphs[1]  # a first length, and then any

    compiled = encoders[1]
    compiled.model.train()
    replays = []
    for graph in (False, True):
        torch.manual_seed(3)
        with torch.set_grad_enabled(graph):
            replays.append(compiled.logits(pairs, query_rows, passage_rows).detach().numpy())
    np.testing.assert_allclose(replays[0], replays[1], atol=1e-5)
    compiled.model.eval()
    with torch.no_grad():
        without = compiled.logits(pairs, query_rows, passage_rows).numpy()
    assert np.abs(replays[0] - without).max() > 1e-3
