"""A tiny random BERT with dropout, a collection in memory, and lists of uneven length with every signal."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast

from limbeck.collections import Collection
from limbeck.evaluation import measure_run, rerank
from limbeck.lists import Lists, Sample
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.runs import Run
from limbeck.training import Backbone, Settings, Stage, TrainingPlan, Validation

WORDS = ["alembic", "boils", "copper", "drips", "ether", "flask", "glass", "heats", "iron", "jar", "kiln", "lead"]


def write_model(folder: Path) -> Path:
    """A BERT of one layer of 16 with its usual dropout."""
    folder.mkdir()
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=32).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.5, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def make_collection() -> Collection:
    """30 documents of 1 to 20 words, 8 queries with judgments; the last three are for validation."""
    draw = random.Random(3)
    documents = {f"d{n}": " ".join(draw.choices(WORDS, k=draw.randint(1, 20))) for n in range(30)}
    queries = {f"q{n}": " ".join(draw.sample(WORDS, draw.randint(1, 4))) for n in range(8)}
    qrels = {f"q{n}": {f"d{m}": 1 + m % 2 for m in draw.sample(range(30), 3)} for n in range(5, 8)}
    return Collection("small", documents, queries, qrels, tuple(qrels))


def make_lists() -> Lists:
    """Five lists of 2 to 7 passages with labels, teacher scores and teacher order; each has positives and negatives."""
    generator = np.random.default_rng(5)
    lengths = [2, 7, 4, 3, 6]
    return Lists(
        [f"q{n}" for n in range(5)],
        [[f"d{m}" for m in generator.permutation(30)[:length]] for length in lengths],
        labels=[np.array([0, 1, *generator.integers(0, 3, length - 2)], np.float32) for length in lengths],
        teacher_scores=[generator.normal(size=length).astype(np.float32) for length in lengths],
        teacher_order=[(generator.permutation(length) + 1).astype(np.float32) for length in lengths],
    )


def make_stage(objective: str, lists: Lists, **changes: Any) -> Stage:
    """A stage at a rate at which a few steps of so small a model show."""
    return Stage(**{"objective": parse(objective), "lists": lists, "learning_rate": 0.01, **changes})


def make_plan(model: Path, **changes: Any) -> TrainingPlan:
    """Two stages of six and five steps, validated every third step, with a checkpoint every other one."""
    collection, lists = make_collection(), make_lists()
    generator = np.random.default_rng(7)
    run = Run.from_scores(
        "first", {q: {f"d{m}": float(s) for m, s in enumerate(generator.normal(size=30))} for q in collection.query_ids}
    )
    values: dict[str, Any] = {
        "backbone": Backbone(model=str(model), max_length=28),
        "stages": (
            make_stage("InfoNCE", lists, sample=Sample(positives=1, negatives=3), steps=6, lists_per_step=2),
            make_stage("RankNet + 0.1*MSE", lists, steps=5, lists_per_step=3, learning_rate=0.005),
        ),
        "collection": collection,
        "settings": Settings(token_budget=64, max_tokens_without_grad_cache=150, checkpoint_every=2),
        "validation": Validation(sets=((collection, run),), every=3, depth=10),
    }
    return TrainingPlan(**{**values, **changes})


def warm(plan: TrainingPlan) -> None:
    """Import what is only imported when it is used, before processes are forked that would each do it.

    Nothing is trained here: autograd does not survive a fork.
    """
    torch.set_num_threads(1)
    assert plan.validation is not None
    encoder = CrossEncoder.load(plan.backbone.model, new_head=True, max_length=plan.backbone.max_length)
    for collection, run in plan.validation.sets:
        ranked = rerank(encoder, collection, run, plan.validation.depth)
        measure_run(collection, ranked, [plan.validation.measure])


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture
def deeper(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers, which can have an exit behind the first."""
    folder = tmp_path_factory.mktemp("deeper") / "bert"
    shutil.copytree(model, folder)
    BertModel(BertConfig.from_pretrained(model, num_hidden_layers=2)).save_pretrained(folder)
    return folder


@pytest.fixture
def lists() -> Lists:
    return make_lists()


@pytest.fixture
def collection() -> Collection:
    return make_collection()


@pytest.fixture
def plan(model: Path) -> Callable[..., TrainingPlan]:
    """The small plan, with the given fields in place of its own."""
    return lambda **changes: make_plan(model, **changes)
