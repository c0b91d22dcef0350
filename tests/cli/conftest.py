"""A folder that the command has never seen: a miniature BEIR collection, a tiny random BERT and a study file."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
from typer.main import get_command
from typer.testing import CliRunner, Result

from limbeck.cli import app

WORDS = ["alembic", "boils", "copper", "drips", "ether", "flask", "glass", "heats", "iron", "jar", "kiln", "lead"]

STUDY: dict[str, Any] = {
    "name": "tiny",
    "collections": {"train": "mini/train", "test": ["mini/test"]},
    "backbones": {"bert": {"model": "./bert", "max_length": 20, "learning_rate": 0.001}},
    "lists": {
        "judged": {
            "format": "run",
            "first_stage": "bm25",
            "depth": 10,
            "labels": "qrels",
            "sample": {"positives": 1, "negatives": 2},
        }
    },
    "recipes": {
        name: [{"objective": name, "lists": "judged", "steps": 2, "lists_per_step": 2}] for name in ("BCE", "InfoNCE")
    },
    "seeds": 1,
    "evaluation": {"first_stage": "bm25", "depth": 10, "measures": ["nDCG@10"]},
}


def write_collection(folder: Path) -> None:
    """24 documents of random words; 5, 3 and 4 queries for train, valid and test, two relevant documents each."""
    draw = random.Random(4)
    (folder / "qrels").mkdir(parents=True)
    documents = {f"d{n}": " ".join(draw.choices(WORDS, k=8)) for n in range(24)}
    queries = {f"q{n}": " ".join(draw.sample(WORDS, 3)) for n in range(12)}
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": key, "title": "", "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    for split, numbers in (("train", range(5)), ("valid", range(5, 8)), ("test", range(8, 12))):
        rows = []
        for number in numbers:
            words = set(queries[f"q{number}"].split())
            best = sorted(documents, key=lambda docid: (-len(words & set(documents[docid].split())), docid))
            rows += [f"q{number}\t{best[1]}\t2", f"q{number}\t{best[4]}\t1"]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n")


def write_model(folder: Path) -> None:
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, initializer_range=0.5, pad_token_id=0, num_labels=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertForSequenceClassification(config)
    model.save_pretrained(folder)
    encoder = folder.with_name("dual")  # the same without its scoring head
    shutil.copytree(folder, encoder)
    model.bert.save_pretrained(encoder)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("materials")
    write_collection(folder / "mini")
    write_model(folder / "bert")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return folder


@pytest.fixture
def here(materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own, with a copy of the materials, to be changed at will."""
    shutil.copytree(materials, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def make_cross_encoder(here: Path) -> Callable[[str, int], str]:
    """Cross-encoders of random weights, by name and seed."""

    def make(name: str, seed: int) -> str:
        tokenizer = BertTokenizerFast(vocab=str(here / "bert" / "vocab.txt"), model_max_length=24)
        config = BertConfig.from_pretrained(here / "bert", num_labels=1)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            BertForSequenceClassification(config).save_pretrained(here / name)
        tokenizer.save_pretrained(here / name)
        return name

    return make


Limbeck = Callable[..., Result]


@pytest.fixture(scope="session")
def limbeck() -> Limbeck:
    """Run the command; fails on another exit code than expected (None: any), and on anything like a traceback."""
    command = get_command(app)  # built once, not for each call

    def run(*words: object, code: int | None = 0) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("typer.testing._get_command", lambda _: command)
            result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code is None or result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def as_json(limbeck: Limbeck) -> Callable[..., Any]:
    """Run the command with --json and parse what it prints on standard output."""
    return lambda *words, code=0: json.loads(limbeck(*words, "--json", code=code).stdout)
