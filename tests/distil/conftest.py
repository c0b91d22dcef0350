"""A made collection with tiny random models, on which a whole distillation takes seconds."""

import json
import random
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

WORDS = [f"{first}{last}" for first in ("al", "bo", "co", "du") for last in ("ba", "ce", "di", "fo", "gu")]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection `docs` of 40 documents, with 50 queries in train and 30 in test, and the encoder `bert`."""
    folder = tmp_path_factory.mktemp("workshop")
    draw = random.Random(4)
    (folder / "docs" / "qrels").mkdir(parents=True)
    documents = {
        f"d{n}": f"{' '.join(draw.choices(WORDS, k=5))}. {' '.join(draw.choices(WORDS, k=6))}." for n in range(40)
    }
    queries = {f"q{n}": " ".join(draw.sample(WORDS, 3)) for n in range(80)}
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": text_id, "title": "", "text": text}) for text_id, text in texts.items()]
        (folder / "docs" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    for split, numbers in (("train", range(50)), ("test", range(50, 80))):
        rows = []
        for number in numbers:
            words = set(queries[f"q{number}"].split())
            best = sorted(documents, key=lambda docid: (-len(words & set(documents[docid][:-1].split())), docid))
            rows += [f"q{number}\t{best[place]}\t1" for place in (1, 3)]
        (folder / "docs" / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n")
    _write_model(folder / "bert")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "distil-cache"))


def _write_model(folder: Path) -> None:
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, initializer_range=0.5, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
