"""An exported folder loads elsewhere with equal scores, and its card says what is known and nothing else."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from limbeck.core.errors import UsageError
from limbeck.export import CardFacts, export, find_origin
from limbeck.models.cross_encoder import CrossEncoder

CELLS = {("bert", "InfoNCE", 1): (0.4, 0.5), ("bert", "InfoNCE", 2): (0.6, 0.7)}
PAIRS = [("copper boils", "the alembic boils"), ("ether", "ether drips into a flask " * 6), ("iron", "")]
STATED = CardFacts("apache-2.0", ("en",), "google/bert", ())


@pytest.fixture
def study(make_study: Any, model: Path) -> Path:
    found: Path = make_study(CELLS)
    for cell in (found / "cells").iterdir():
        shutil.copytree(model, cell / "model")
    return found


def test_scores_are_equal_in_limbeck_transformers_and_sentence_transformers(model: Path, tmp_path: Path) -> None:
    scores = CrossEncoder.load(model, device="cpu").score(PAIRS)
    export(find_origin(str(model)), tmp_path / "out", CardFacts())
    np.testing.assert_allclose(CrossEncoder.load(tmp_path / "out", device="cpu").score(PAIRS), scores, atol=1e-6)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    batch = tokenizer(*map(list, zip(*PAIRS, strict=True)), truncation="only_second", padding=True, return_tensors="pt")
    with torch.inference_mode():
        np.testing.assert_allclose(plain(**batch).logits[:, 0].numpy(), scores, atol=1e-5)
    peer = pytest.importorskip("sentence_transformers", reason="pip install sentence-transformers")
    peer = peer.CrossEncoder(str(tmp_path / "out"), device="cpu")
    np.testing.assert_allclose(peer.predict(PAIRS), scores, atol=1e-5)


def test_the_cards_header_is_what_the_hub_reads(study: Path, tmp_path: Path) -> None:
    export(find_origin(str(study)), tmp_path / "my-model", STATED)
    data = ModelCard.load(tmp_path / "my-model" / "README.md").data
    assert (data.license, data.language, data.library_name) == ("apache-2.0", ["en"], "sentence-transformers")
    assert (data.pipeline_tag, data.base_model, data.datasets) == ("text-ranking", "google/bert", ["msmarco-passage"])
    [result] = data.eval_results
    assert (result.dataset_name, result.metric_name, result.metric_value) == ("mini/test", "nDCG@10", 0.715)


def test_the_card_says_how_the_model_came_about_and_what_it_reached(study: Path, tmp_path: Path) -> None:
    facts = export(find_origin(str(study)), tmp_path / "my-model", STATED)
    card = (tmp_path / "my-model" / "README.md").read_text()
    assert facts["chosen"] in card
    assert "of its seeds, 2 has the highest (0.6000)" in card
    assert (
        "| stage 1 | InfoNCE on lists judged (all): 4 steps of 2 lists, learning rate 0.001; 32 pairs of 5 lists |"
        in card
    )
    assert "| time | 0.01 hours |" in card
    # Values 0.7 to 0.73 against 0.25 to 0.28: every query gains 0.45.
    assert "| mini/test | nDCG@10 | 4 | 0.7150 [0.7" in card
    assert "| 0.2650 | +0.4500 [+0.4500, +0.4500] |" in card
    assert "MS MARCO is for non-commercial research only" in card
    assert "| study, cell | tiny \\| study, `1c` |" in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_no_folder_of_the_user_is_in_what_is_exported(study: Path, tmp_path: Path) -> None:
    export(find_origin(str(study)), tmp_path / "out", CardFacts())
    texts = [path.read_text() for path in (tmp_path / "out").iterdir() if path.suffix in (".json", ".md")]
    assert len(texts) >= 4
    for text in texts:
        assert "kim" not in text
        assert str(tmp_path) not in text


def test_what_is_unknown_is_said_to_be(model: Path, tmp_path: Path) -> None:
    export(find_origin(str(model)), tmp_path / "out", CardFacts())
    card = (tmp_path / "out" / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "unknown"
    assert not {"base_model", "datasets", "model-index", "language"} & set(header)
    for words in ("Nothing is recorded of its training", "None are recorded beside it", "terms unknown to limbeck"):
        assert words in card


def test_an_older_export_is_replaced_and_nothing_else(model: Path, tmp_path: Path) -> None:
    origin = find_origin(str(model))
    for _ in range(2):
        export(origin, tmp_path / "out", CardFacts())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="is not a model that could be replaced"):
        export(origin, tmp_path / "full", CardFacts())
    with pytest.raises(UsageError, match="is the model itself"):
        export(origin, model, CardFacts())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "out"]
