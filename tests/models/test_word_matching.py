"""Heads that match words: they rank as BM25 does before any training, and leave the rest of the model as it was."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel, BertTokenizerFast

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.models import word_matching
from limbeck.models.checkpoint import read_checkpoint
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.sources import resolve
from limbeck.study.config.schema import Backbone
from limbeck.study.plan.architecture import architecture_of

WORDS = [f"{first}{last}" for first in "bcdfghklmn" for last in ("ab", "ec", "id", "of", "ug", "an", "el", "ir")]
RARE, COMMON = WORDS[0], WORDS[-1]


@pytest.fixture(scope="module")
def words() -> Collection:
    """Passages of eight words each, drawn by Zipf's law, the last word of the vocabulary the most common."""
    draw = random.Random(1)
    weights = [1 / (len(WORDS) - place) for place in range(len(WORDS))]
    documents = {f"d{n}": " ".join(draw.choices(WORDS, weights, k=8)) for n in range(400)}
    queries = {f"q{n}": " ".join(map(draw.choice, (WORDS[:30], WORDS[30:70], WORDS[70:]))) for n in range(20)}
    return Collection("words", documents, queries, {}, tuple(queries))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers with heads of 32, drawn at random."""
    folder = tmp_path_factory.mktemp("backbone")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=48).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=48, initializer_range=0.05, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


def bm25(query: str, passage: str, collection: Collection) -> float:
    """Without lengths (b = 0)."""
    texts = [text.split() for text in collection.documents.values()]
    total = 0.0
    for word in query.split():
        documents, count = sum(word in text for text in texts), passage.split().count(word)
        total += (
            math.log1p((len(texts) - documents + 0.5) / (documents + 0.5)) * count / (count + word_matching.SATURATION)
        )
    return total


def test_an_untrained_model_ranks_as_bm25_does(backbone: Path, words: Collection) -> None:
    encoder = CrossEncoder.load(backbone, device="cpu", new_head=True, words_of=words)
    plain = CrossEncoder.load(backbone, device="cpu", new_head=True)
    agreed, before = [], []
    for query in words.queries.values():
        passages = [passage for passage in words.documents.values() if bm25(query, passage, words)][:60]
        expected = [bm25(query, passage, words) for passage in passages]
        for model, found in ((encoder, agreed), (plain, before)):
            found.append(spearmanr(model.score([(query, passage) for passage in passages]), expected).statistic)
    assert np.mean(agreed) > 0.65
    assert abs(np.mean(before)) < 0.3


def test_rare_words_count_more_and_repeated_ones_less_and_less(backbone: Path, words: Collection) -> None:
    encoder = CrossEncoder.load(backbone, device="cpu", new_head=True, words_of=words)
    query, fill = f"{RARE} {COMMON}", WORDS[20:30]

    def score(*found: str) -> float:
        return float(encoder.score([(query, " ".join([*found, *fill][:8]))])[0])

    nothing, common, rare, both = score(), score(COMMON), score(RARE), score(RARE, COMMON)
    assert nothing < common < rare < both
    twice, four = score(RARE, RARE), score(RARE, RARE, RARE, RARE)
    assert rare - nothing > twice - rare > 0
    assert four - twice < twice - nothing


def test_the_old_dimensions_are_nearly_as_they_were(backbone: Path, words: Collection) -> None:
    found = read_checkpoint(resolve(str(backbone)), new_head=True)
    wider = word_matching.match_words(found, words, resolve(str(backbone)))
    batch = found.tokenizer([RARE], [" ".join(WORDS[10:20])], return_tensors="pt")
    with torch.inference_mode():
        before, after = (model.base_model(**batch).last_hidden_state for model in (found.model, wider.model))
    assert after.shape[2] == before.shape[2] + 64
    assert torch.cosine_similarity(after[..., : before.shape[2]], before, dim=-1).min() > 0.9


def test_what_is_saved_scores_the_same_in_plain_transformers(backbone: Path, words: Collection, tmp_path: Path) -> None:
    encoder = CrossEncoder.load(backbone, device="cpu", new_head=True, words_of=words)
    pairs = [(query, passage) for query in list(words.queries.values())[:3] for passage in WORDS[:4]]
    encoder.save(tmp_path / "saved")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    with torch.inference_mode():
        batch = encoder.tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, return_tensors="pt")
        expected = plain(**batch).logits[:, 0].numpy()
    np.testing.assert_allclose(encoder.score(pairs), expected, atol=1e-5)
    packed = CrossEncoder.load(tmp_path / "saved", device="cpu", packed=True)
    np.testing.assert_allclose(packed.score(pairs), expected, atol=1e-5)


def test_it_is_the_same_whatever_the_seed_but_for_the_scoring_head(backbone: Path, words: Collection) -> None:
    state = torch.random.get_rng_state()
    one, two = (CrossEncoder.load(backbone, device="cpu", new_head=True, words_of=words, seed=s) for s in (1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, weight in one.model.base_model.named_parameters():
        if "pooler" not in name:
            assert torch.equal(weight, two.model.base_model.get_parameter(name)), name
    assert not torch.equal(one.model.classifier.weight, two.model.classifier.weight)


def test_a_studys_plan_counts_the_wider_model(backbone: Path, words: Collection) -> None:
    study: Any = SimpleNamespace(model=resolve)
    counted = architecture_of(Backbone(model=str(backbone), match_words=True), study)
    assert counted is not None
    encoder = CrossEncoder.load(backbone, device="cpu", new_head=True, words_of=words)
    assert sum(weight.numel() for weight in counted.model().parameters()) == encoder.parameters


@pytest.mark.parametrize(
    ("family", "reason"), [("roberta", "is a roberta; expected a BERT"), ("modernbert", "is a modernbert")]
)
def test_another_architecture_is_refused(
    family: str, reason: str, family_folder: Callable[[str], Path], words: Collection
) -> None:
    with pytest.raises(UsageError, match=f"gets no heads that match words: it {reason}.*leave match_words out"):
        CrossEncoder.load(family_folder(family), new_head=True, words_of=words)


def test_one_layer_is_too_few(backbone: Path, words: Collection) -> None:
    with pytest.raises(UsageError, match="it has 1 layer and heads of 32; expected 2 or more"):
        CrossEncoder.load(backbone, layers=1, new_head=True, words_of=words)


def test_a_model_that_is_only_to_score_is_not_changed(backbone: Path, words: Collection, tmp_path: Path) -> None:
    CrossEncoder.load(backbone, device="cpu", new_head=True).save(tmp_path / "ranks")
    with pytest.raises(UsageError, match="change scores until they are trained"):
        CrossEncoder.load(tmp_path / "ranks", words_of=words)
