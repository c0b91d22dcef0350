from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from limbeck.kernels.layers import layers_of
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.flops import product_rate, training_flops

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
