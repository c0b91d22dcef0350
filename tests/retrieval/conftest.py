"""A collection of random words, and tiny random models that read it, in the folders in which models are published."""

import json
import random
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

from limbeck.collections import Collection

WORDS = ["alembic", "boils", "copper", "drips", "ether", "flask", "glass", "heats", "iron", "jar", "kiln", "lead"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of seven texts, so that few make many."""
    monkeypatch.setattr("limbeck.retrieval.search.PART", 7)


@pytest.fixture(scope="session")
def words() -> Collection:
    """40 documents, the last two of them equal to the two before, and ten queries, two of them documents."""
    draw = random.Random(4)
    documents = {f"d{n}": " ".join(draw.choices(WORDS, k=draw.randint(1, 9))) for n in range(38)}
    documents |= {"d38": documents["d36"], "d39": documents["d37"]}
    queries = {f"q{n}": " ".join(draw.sample(WORDS, 3)) for n in range(8)}
    queries |= {"d3": documents["d3"], "d20": documents["d20"]}
    return Collection("words", documents, queries, {}, tuple(queries))


@pytest.fixture(scope="session")
def splade_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As SparseEncoder saved naver/splade-v3: an MLMTransformer and SpladePooling."""
    folder = tmp_path_factory.mktemp("splade")
    write_tokenizer(folder)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        BertForMaskedLM(config()).save_pretrained(folder)
    where = "sentence_transformers.sparse_encoder.models."
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{where}MLMTransformer"},
        {"idx": 1, "name": "1", "path": "1_SpladePooling", "type": f"{where}SpladePooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_SpladePooling").mkdir()
    settings = {"pooling_strategy": "max", "activation_function": "relu", "word_embedding_dimension": None}
    (folder / "1_SpladePooling" / "config.json").write_text(json.dumps(settings))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": false}')
    prompts = {"prompts": {"query": "alembic ", "document": ""}, "similarity_fn_name": "dot"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return folder


@pytest.fixture(scope="session")
def plain_splade_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain masked language model, as AutoModelForMaskedLM saves it."""
    folder = tmp_path_factory.mktemp("plain")
    write_tokenizer(folder)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        BertForMaskedLM(config()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def dense_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As SentenceTransformer saves a bi-encoder that is compared by inner products."""
    folder = tmp_path_factory.mktemp("dense")
    write_tokenizer(folder)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        BertModel(config(), add_pooling_layer=False).save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    settings = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    (folder / "config_sentence_transformers.json").write_text('{"similarity_fn_name": "dot"}')
    return folder


def write_tokenizer(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)


def config() -> BertConfig:
    return BertConfig(
        vocab_size=len(WORDS) + 5, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, initializer_range=0.5, pad_token_id=0,
    )  # fmt: skip
