"""A miniature collection, a tiny random BERT and a study over both, written by the tests themselves."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import BertConfig, BertModel, BertTokenizerFast

WORDS = ["alembic", "boils", "copper", "drips", "ether", "flask", "glass", "heats", "iron", "jar", "kiln", "lead"]


def write_collection(folder: Path) -> None:
    """24 documents of random words, 12 queries in three splits of five, three and four, two relevant documents each."""
    draw = random.Random(4)
    (folder / "qrels").mkdir(parents=True)
    documents = {f"d{n}": " ".join(draw.choices(WORDS, k=8)) for n in range(24)}
    queries = {f"q{n}": " ".join(draw.sample(WORDS, 3)) for n in range(12)}
    lines = [json.dumps({"_id": docid, "title": "", "text": text}) for docid, text in documents.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    lines = [json.dumps({"_id": query_id, "text": text}) for query_id, text in queries.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines) + "\n")
    for split, numbers in (("train", range(5)), ("valid", range(5, 8)), ("test", range(8, 12))):
        rows = []
        for number in numbers:
            words = set(queries[f"q{number}"].split())
            best = sorted(documents, key=lambda docid: (-len(words & set(documents[docid].split())), docid))
            # Not the first: what BM25 finds already leaves nothing to measure.
            rows += [f"q{number}\t{docid}\t{grade}" for docid, grade in ((best[1], 2), (best[4], 1))]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n")


def write_model(folder: Path) -> None:
    """A BERT of two layers of 16, with random weights and a vocabulary of the collection's words."""
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=24)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, initializer_range=0.5, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def tiny_study() -> dict[str, Any]:
    """Two recipes, one of them in two stages, from two seeds: four cells of a few steps."""
    return {
        "name": "tiny",
        "collections": {"train": "mini/train", "test": ["mini/test"]},
        "teachers": {"bert": {"biencoder": "./bert", "scale": 20}},
        "backbones": {"bert-1": {"model": "./bert", "layers": 1, "max_length": 20, "learning_rate": 0.001}},
        "lists": {
            "judged": {
                "format": "run",
                "first_stage": "bm25",
                "depth": 10,
                "labels": "qrels",
                "sample": {"positives": 1, "negatives": 3},
            },
            "taught": {"format": "run", "first_stage": "bm25", "depth": 10, "teacher": "bert", "sample": {"size": 4}},
        },
        "recipes": {
            "BCE": [{"objective": "BCE", "lists": "judged", "steps": 4, "lists_per_step": 2}],
            "TwoStage": [
                {"objective": "InfoNCE", "lists": "judged", "steps": 2, "lists_per_step": 2},
                {"objective": "RankNet", "lists": "taught", "epochs": 1, "lists_per_step": 2, "learning_rate": 0.0005},
            ],
        },
        "seeds": 2,
        "validation": {"collections": "mini/valid", "depth": 10, "every": 2},
        "evaluation": {"first_stage": "bm25", "depth": 10, "measures": ["nDCG@10", "RR@10"]},
    }


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the collection `mini` and the model `bert`, for tests that write nothing into it but studies."""
    folder = tmp_path_factory.mktemp("laboratory")
    write_collection(folder / "mini")
    write_model(folder / "bert")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def study_file(laboratory: Path, request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Write a study file beside the collection: values, or the text itself."""
    path = laboratory / f"{request.node.name.replace('/', '_')}.yaml"

    def write(study: dict[str, Any] | str) -> Path:
        path.write_text(study if isinstance(study, str) else yaml.safe_dump(study, sort_keys=False))
        return path

    return write


@pytest.fixture
def tiny() -> dict[str, Any]:
    """The values of a small study, to be changed at will."""
    return tiny_study()


@pytest.fixture(scope="session")
def finished(laboratory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the small study, run once; tests that change it copy it first."""
    from limbeck.study.config.study import load_study
    from limbeck.study.run.execute import run_study

    path = laboratory / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_study(), sort_keys=False))
    output = tmp_path_factory.mktemp("finished") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        counts = run_study(load_study(path), output)
    assert counts == {"kept": 0, "done": 4, "failed": 0, "elsewhere": 0}
    return output
