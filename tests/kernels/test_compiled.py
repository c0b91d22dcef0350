"""Compiled layers: without breaks, once for all lengths, and with the scores and gradients of layers that are not."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

from limbeck.kernels import attention
from limbeck.models import cross_encoder
from limbeck.models.cross_encoder import CrossEncoder

Folder = Callable[[str], Path]
PARTS = (slice(0, 3), slice(3, 9), slice(0, 14), slice(2, 4))


@pytest.fixture
def flash_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch's flash attention computed by plain products, forward and backward, so that its way is gone on a CPU."""

    def sequences(query: Any, key: Any, bounds: Any, key_bounds: Any, scale: float, reach: int) -> Iterator[Any]:
        """Where each sequence's queries and keys are, and its attention weights [heads, queries, keys]."""
        for number in range(len(bounds) - 1):
            own, seen = (slice(each[number], each[number + 1]) for each in (bounds, key_bounds))
            scores = torch.einsum("qhw,khw->hqk", query[own], key[seen]) * scale
            if reach >= 0:
                place = torch.arange(scores.shape[-1])
                scores = scores.masked_fill((place[:, None] - place).abs() > reach, -torch.inf)
            yield own, seen, scores.softmax(-1)

    def forward(
        query: Any, key: Any, value: Any, bounds: Any, key_bounds: Any, longest: int, longest_key: int, dropout: float,
        *_: Any, scale: float, window_size_left: int, **__: Any,
    ) -> Any:  # fmt: skip
        assert not dropout
        assert int(key_bounds.diff().max()) == longest_key
        result = torch.empty_like(query)
        for own, seen, weights in sequences(query, key, bounds, key_bounds, scale, window_size_left):
            result[own] = torch.einsum("hqk,khw->qhw", weights, value[seen])
        return result, query.new_empty(0), torch.empty(2, dtype=torch.int64), torch.empty(0), torch.empty(0)

    def backward(
        grad: Any, query: Any, key: Any, value: Any, _out: Any, _sums: Any, bounds: Any, key_bounds: Any, *_: Any,
        scale: float, window_size_left: int, **__: Any,
    ) -> Any:  # fmt: skip
        to_query, to_key, to_value = (torch.empty_like(each) for each in (query, key, value))
        for own, seen, weights in sequences(query, key, bounds, key_bounds, scale, window_size_left):
            to_weights = torch.einsum("qhw,khw->hqk", grad[own], value[seen])
            to_scores = scale * weights * (to_weights - (to_weights * weights).sum(-1, keepdim=True))
            to_query[own] = torch.einsum("hqk,khw->qhw", to_scores, key[seen])
            to_key[seen] = torch.einsum("hqk,qhw->khw", to_scores, query[own])
            to_value[seen] = torch.einsum("hqk,qhw->khw", weights, grad[own])
        return to_query, to_key, to_value

    library = torch.library.Library("aten", "IMPL")
    library.impl("_flash_attention_forward", forward, "CPU")
    library.impl("_flash_attention_backward", backward, "CPU")
    monkeypatch.setattr(attention, "takes_flash", lambda *_: True)
    monkeypatch.setattr(cross_encoder, "has_flash", lambda _: True)
    yield
    library._destroy()


def deep(folder: Path, output: Path, layers: int) -> Path:
    """A small model with more layers than it has kinds of them."""
    config = tf.AutoConfig.from_pretrained(folder)
    config.num_hidden_layers = layers
    if config.model_type == "modernbert":
        config = type(config)(**{key: value for key, value in config.to_dict().items() if key != "layer_types"})
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        tf.AutoModelForSequenceClassification.from_config(config).save_pretrained(output)
    tf.AutoTokenizer.from_pretrained(folder).save_pretrained(output)
    return output


@pytest.mark.parametrize(("family", "graphs"), [("bert", 2), ("modernbert", 3)])
def test_layers_are_compiled_without_breaks_and_once_for_all_lengths(
    family: str,
    graphs: int,
    family_folder: Folder,
    some_pairs: list[tuple[str, str]],
    flash_on_the_cpu: None,
    tmp_path: Path,
) -> None:
    from torch._dynamo.testing import CompileCounterWithBackend
    from torch._dynamo.utils import counters

    folder = deep(family_folder(family), tmp_path / "deep", layers=4)
    padded = CrossEncoder.load(folder, device="cpu", packed=False, dropout=0.0)
    packed = CrossEncoder.load(folder, device="cpu", packed=True, dropout=0.0)
    compiled = CrossEncoder.load(folder, device="cpu", packed=True, dropout=0.0, compiled=True)
    torch.compiler.reset()
    counters.clear()
    counter = CompileCounterWithBackend("eager")
    pairs, query_rows, passage_rows = padded.stored(some_pairs)
    seen = []
    with torch.compiler.set_stance(force_backend=counter):
        for part in PARTS:
            found = []
            for encoder in (padded, packed, compiled):
                encoder.model.zero_grad()
                scores = encoder.logits(pairs, query_rows[part], passage_rows[part])
                scores.square().sum().backward()
                found.append((scores, [weight.grad for weight in encoder.model.parameters()]))
            for scores, gradients in found[1:]:
                torch.testing.assert_close(scores, found[0][0], rtol=0, atol=1e-4)
                for ours, expected in zip(gradients, found[0][1], strict=True):
                    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)
            seen.append(counter.frame_count)
        # Where more variants are wanted than torch compiles by default, it would compile none of them any more.
        scored = compiled.score_rows(pairs, query_rows, passage_rows)
        compiled.model.train()
        with torch.no_grad():
            replayed = compiled.logits(pairs, query_rows, passage_rows)
    np.testing.assert_allclose(scored, replayed.numpy(), atol=1e-4)
    assert not counters["graph_break"]
    assert seen == [graphs] * len(PARTS)
    assert counter.frame_count == 3 * graphs


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile wants g++ on the CPU")
@pytest.mark.skipif("LIMBECK_TEST_COMPILED" not in os.environ, reason="compiles for a minute: LIMBECK_TEST_COMPILED=1")
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
    for part in PARTS:
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
