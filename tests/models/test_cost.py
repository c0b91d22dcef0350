from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from limbeck.kernels.layers import layers_of
from limbeck.models import cost
from limbeck.models.cost import MOST_TOKENS, graph_bytes, product_rate, scoring_tokens, training_flops, training_tokens
from limbeck.models.cross_encoder import CrossEncoder

Folder = Callable[[str], Path]


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert", "mpnet"])
def test_training_flops_are_those_of_the_products_that_the_layers_really_make(
    family: str, family_folder: Folder
) -> None:
    encoder = CrossEncoder.load(family_folder(family), device="cpu", dropout=0.1)
    encoder.model.train()  # attention is plain products then, which can be counted
    words = "alembic boils copper drips ether"
    texts = [(words, f"{words} {words}")] * 3
    pairs, query_rows, passage_rows = encoder.stored(texts)
    lengths = pairs.lengths(query_rows, passage_rows)
    with FlopCounterMode(display=False) as counter:
        encoder.logits(pairs, query_rows, passage_rows).sum().backward()
    counted = counter.get_total_flops()
    head = 2 * 3 * 3 * encoder.model.config.hidden_size**2  # the scoring head reads one token of each pair
    assert training_flops(encoder.model, lengths) == pytest.approx(counted, abs=3 * head)
    assert training_flops(encoder.model, np.tile(lengths, 2)) == pytest.approx(
        2 * training_flops(encoder.model, lengths)
    )


@pytest.mark.parametrize("family", ["bert", "electra", "deberta-v3", "deberta-v2-conv", "modernbert", "distilbert"])
def test_the_layers_are_found_in_every_family(family: str, family_folder: Folder) -> None:
    model = CrossEncoder.load(family_folder(family), device="cpu").model
    assert len(layers_of(model)) == model.config.num_hidden_layers


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_product_has_a_rate_in_every_precision(precision: str, family_folder: Folder) -> None:
    assert product_rate(CrossEncoder.load(family_folder("bert"), device="cpu").model, precision) > 1e6


@pytest.fixture(scope="module")
def encoder(family_folder: Callable[[str], Path]) -> CrossEncoder:
    return CrossEncoder.load(family_folder("bert"), device="cpu")


def test_on_a_cpu_the_numbers_are_those_that_were_measured(encoder: CrossEncoder) -> None:
    assert encoder.training_tokens("fp32") == (2048, 12288)
    assert scoring_tokens(encoder.model, "fp32", False, 256) == 4096


def test_micro_batches_follow_free_memory_and_what_a_token_costs(
    encoder: CrossEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = encoder.model
    weights = 12 * encoder.parameters
    costs = [
        graph_bytes(model.config, "bf16"),
        graph_bytes(model.config, "bf16", 256),
        graph_bytes(model.config, "fp32"),
    ]
    assert costs[0] < costs[1]
    assert costs[2] == 2 * costs[0]

    def with_free(free: float) -> tuple[int, int]:
        monkeypatch.setattr(cost, "free_memory", lambda _: int(free))
        return training_tokens(model, "bf16", True, 256)

    # No flash attention on this device: what it would not keep is counted.
    assert with_free(2 * 5000 * costs[1] + weights) == (4096, 4096)
    assert with_free(2 * 4097 * costs[1] + weights) == (4096, 4096)  # a little less free changes nothing
    assert with_free(2 * 300_000 * costs[1] + weights) == (MOST_TOKENS, 1 << 18)
    assert with_free(0) == (512, 512)
    monkeypatch.setattr(cost, "takes_flash", lambda *_: True)
    assert with_free(2 * 5000 * costs[1] + weights)[0] > 4096
    assert scoring_tokens(model, "bf16", True, 256) > with_free(2 * 5000 * costs[1] + weights)[0]


def test_a_saved_model_scores_the_same_under_any_derived_budget(
    encoder: CrossEncoder, some_pairs: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = encoder.score(some_pairs)
    monkeypatch.setattr(cost, "free_memory", lambda _: 1)
    assert encoder.score(some_pairs) == pytest.approx(expected, abs=1e-5)
