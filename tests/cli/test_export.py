"""From a study to a folder for the Hub, as a user would."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from limbeck.models.cross_encoder import CrossEncoder

Limbeck = Callable[..., Result]


@pytest.fixture
def study(here: Path, limbeck: Limbeck) -> Path:
    values = yaml.safe_load((here / "tiny.yaml").read_text())
    values["validation"] = {"collections": "mini/valid", "depth": 10, "every": 1}
    (here / "valid.yaml").write_text(yaml.safe_dump(values))
    limbeck("study", "run", "valid.yaml", "--output", "out")
    return here / "out"


def test_a_studys_model_is_exported_and_shown_before_it_is_published(
    study: Path, limbeck: Limbeck, as_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {path.name for path in (study / "report").iterdir()}
    assert {"results.parquet", "provenance.json"} <= names
    facts = as_json("export", "out", "--output", "model", "--license", "mit", "--language", "en")
    assert facts["chosen"].startswith("Chosen on validation, never on test: of 2 combinations")
    card = Path("model/README.md").read_text()
    values = json.loads((study / "report" / "results.json").read_text())
    [cell] = [c for c in values["cells"] if c["id"] in card]
    assert f"{cell['values']['mini/test']['nDCG@10']:.4f}" in card
    assert CrossEncoder.load("model", device="cpu").score([("copper", "iron")]).shape == (1,)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    shown = limbeck("push", "model", "kim/model")
    assert "model.safetensors" in shown.stdout
    assert "nothing was uploaded; --yes does it" in shown.stderr
    assert as_json("push", "model", "kim/model")["uploaded"] is None
    assert "no token: set HF_TOKEN" in limbeck("push", "model", "kim/model", "--yes", code=3).stderr


def test_drift_needs_pairs(here: Path, limbeck: Limbeck) -> None:
    found = limbeck("export", "bert", "--output", "model", "--onnx", code=2)
    assert "--onnx needs real pairs to measure the drift on: give --collection and --run" in found.stderr
    found = limbeck("export", "bert", "--output", "model", "--collection", "mini/test", code=2)
    assert "--collection and --run are for --onnx" in found.stderr
