"""The folder of a finished study, written by hand, so that its values can be chosen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from limbeck.runs import Run, rank, write_run

WORDS = ["alembic", "boils", "copper", "drips", "ether", "flask", "glass", "heats", "iron", "jar", "kiln", "lead"]
QUERIES = ("q1", "q2", "q3", "q4")


def write_model(folder: Path) -> None:
    """A cross-encoder on BERT of two layers of 16, with random weights."""
    folder.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), model_max_length=24).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=24, initializer_range=0.5, pad_token_id=0, num_labels=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(folder)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def summary(best: float | None) -> dict[str, Any]:
    stage = {
        "objective": "InfoNCE",
        "steps": 4,
        "pairs": 32,
        "tokens": 500,
        "lists": 5,
        "usable_lists": 5,
        "skipped": {},
    }
    return {
        "steps": 4, "best_step": 2, "best_value": best, "measure": "nDCG@10", "pairs": 32, "tokens": 500,
        "seconds": 36.0, "model": "/home/kim/bert|1", "model_sha256": "ab" * 32, "precision": "fp32", "device": "cpu",
        "processes": 1, "seed": 1, "stages": [stage],
    }  # fmt: skip


PLAN = {
    "backbone": {"model": None},
    "stages": [{"objective": "InfoNCE", "lists": "f00", "sample": "all", "steps": 4, "lists_per_step": 2,
                "learning_rate": 0.001}],
    "seed": 1,
    "settings": {"warmup": 0.1, "weight_decay": 0.0, "clip": 1.0},
}  # fmt: skip

COUNTS = {"collection": "mini/test", "queries": 4, "scored": 4, "missing": 0, "short": 0}
MakeStudy = Callable[..., Path]


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    """Write a study's folder: (backbone, recipe, seed) → (value on validation, value on every test query)."""

    def make(cells: dict[tuple[str, str, int], tuple[float | None, float]], **changes: Any) -> Path:
        folder = tmp_path / "study"
        evaluations = {"mini/test": "e1"}
        entries = []
        run = Run("r", {query: rank(("d1", "d2"), (2.0, 1.0)) for query in QUERIES})
        places = [(folder / "shared" / "evaluations" / "e1", 0.25)]
        for number, ((backbone, recipe, seed), (best, test)) in enumerate(cells.items()):
            cell = folder / "cells" / f"{number:x}c"
            write_json(cell / "state.json", {"status": "done"})
            write_json(cell / "summary.json", summary(best))
            write_json(cell / "plan.json", PLAN)
            places.append((cell / "evaluations" / "e1", test))
            of_cell = {"backbone": backbone, "recipe": recipe, "seed": seed}
            entries.append({"id": cell.name, **of_cell, "steps": 4, "evaluations": evaluations})
        for place, value in places:
            values = {query: value + 0.01 * n for n, query in enumerate(QUERIES)}
            write_json(place / "values.json", {**COUNTS, "values": {"nDCG@10": values}})
            write_run(run, place / "run.gz")

        def known(name: str) -> dict[str, Any]:
            return {"name": name, "place": name, "fingerprint": "f", "documents": 2, "queries": len(QUERIES)}

        sets = [known("/home/kim/mini/valid@1/2")]
        validation = {"collections": sets, "measure": "nDCG@10", "test_queries_allowed": False}
        stages = [{"objective": "InfoNCE", "lists": "judged", "steps": 4}]
        index = {
            "name": "tiny | study",
            "created": "2026-11-28T00:00:00+00:00",
            "limbeck_version": "0.1.0",
            "measures": ["nDCG@10"],
            "collections": [known("mini/test")],
            "training": [known("msmarco-passage/train")],
            "backbones": [{"name": name, "model": name, "layers": None} for name in {name for name, _, _ in cells}],
            "facts": {},
            "leaks": [],
            "warnings": [],
            "validation": validation,
            "first_stage": {"name": "bm25", "description": "BM25", "depth": 2, "evaluations": evaluations},
            "teachers": [],
            "recipes": [{"name": recipe, "stages": stages} for recipe in {name for _, name, _ in cells}],
            "cells": entries,
        }
        write_json(folder / "index.json", index | changes)
        return folder

    return make


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cross-encoder's folder, not to be written to."""
    folder = tmp_path_factory.mktemp("models") / "bert"
    write_model(folder)
    return folder
