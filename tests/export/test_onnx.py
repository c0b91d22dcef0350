"""The ONNX files compute what the model computes, for any batch and length."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError, MissingError
from limbeck.export import Candidates, CardFacts, export, find_origin, folder, onnx
from limbeck.export.onnx import FP32, INT8, onnx_encoder, write_onnx
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run, rank
from limbeck.serve.config import LatencySettings
from limbeck.serve.latency import measure_latency

Folder = Callable[[str], Path]
Pairs = list[tuple[str, str]]
FAMILIES = ("bert", "roberta", "electra", "deberta-v3", "deberta-v2-conv", "modernbert", "mpnet", "distilbert")


def needs_onnx(*packages: str) -> None:
    for package in ("onnx", "onnxruntime", "onnxscript", *packages):
        pytest.importorskip(package, reason="pip install 'limbeck[export]'")


TEXTS = ("the alembic boils", "ether drips into a flask " * 6, "")


def candidates() -> Candidates:
    documents = {f"d{n}": text for n, text in enumerate(TEXTS)}
    collection = Collection("mini", documents, {"q": "copper ether"}, {"q": {"d1": 1}}, ("q",))
    return Candidates(collection, Run("r", {"q": rank(tuple(documents), (3.0, 2.0, 1.0))}), 3)


@pytest.fixture(scope="module")
def exported(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A BERT's folder with its ONNX files, and what is known of them; not to be written to."""
    needs_onnx()
    folder = tmp_path_factory.mktemp("onnx") / "out"
    return folder, export(find_origin(str(model)), folder, CardFacts(), candidates())


def expect_equal(encoder: CrossEncoder, folder: Path, some_pairs: Pairs) -> None:
    long = [("who heats the still?", "the alembic boils and the copper glows " * 20)]
    exact = onnx_encoder(encoder, folder / FP32)
    for pairs in (some_pairs, some_pairs[:1], some_pairs[2:5], long):
        np.testing.assert_allclose(exact.score(pairs), encoder.score(pairs), atol=1e-4)
    own, eight = encoder.score(some_pairs), onnx_encoder(encoder, folder / INT8).score(some_pairs)
    assert 0 < np.abs(own - eight).max() < 0.5 * np.ptp(own)
    assert (folder / INT8).stat().st_size < (folder / FP32).stat().st_size


def test_onnx_scores_are_the_models_for_any_batch_and_length(
    exported: tuple[Path, dict[str, Any]], some_pairs: Pairs
) -> None:
    expect_equal(CrossEncoder.load(exported[0], device="cpu"), exported[0], some_pairs)


def test_a_folders_onnx_files_are_measured_beside_the_model(exported: tuple[Path, dict[str, Any]]) -> None:
    settings = LatencySettings(form=("fp32", "onnx"), passages=(3,), threads=(1,), seconds=0.01)
    few = candidates()
    found, left_out = measure_latency({"bert": str(exported[0])}, few.collection, few.run, settings)
    assert not left_out
    assert [row.form for row in found] == ["fp32", "onnx"]
    assert [row.agreement for row in found] == [None, pytest.approx(1.0)]


@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_scores_of_every_family_are_the_models(
    family: str, family_folder: Folder, some_pairs: Pairs, tmp_path: Path
) -> None:
    if "LIMBECK_TEST_ONNX" not in os.environ:
        pytest.skip("traces every family, ten seconds each: LIMBECK_TEST_ONNX=1")
    needs_onnx()
    encoder = CrossEncoder.load(family_folder(family), device="cpu")
    encoder.save(tmp_path / "model")
    write_onnx(tmp_path / "model")
    expect_equal(encoder, tmp_path / "model", some_pairs)


def test_onnx_files_come_with_their_drift(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, facts = exported
    assert set(facts["drift"]) == {FP32, INT8} < set(facts["files"])
    assert facts["drift"][FP32]["pairs"] == 3
    assert facts["drift"][FP32]["largest"] < 1e-5 < facts["drift"][INT8]["largest"]
    card = (folder / "README.md").read_text()
    assert re.search(rf"\| {INT8} \| 0\.\d \| \S+ \| \S+ \| -?\d\.\d{{4}} \| \d\.\d{{4}} \|", card)
    assert json.loads((folder / "limbeck.json").read_text())["drift"] == facts["drift"]


def test_onnx_that_computes_something_else_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CrossEncoder.load(model, layers=1, device="cpu")
    monkeypatch.setattr(folder, "require_onnx", lambda: None)
    monkeypatch.setattr(folder, "write_onnx", lambda _: None)
    monkeypatch.setattr(folder, "onnx_encoder", lambda *_: other)
    with pytest.raises(DataError, match="the ONNX file of this bert does not compute what the model does"):
        export(find_origin(str(model)), tmp_path / "out", CardFacts(), candidates())
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_its_name_is_said(
    family_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "PACKAGES", ("onnx_that_is_not_there",))
    with pytest.raises(MissingError, match=r"ONNX needs onnx_that_is_not_there: pip install 'limbeck\[export\]'"):
        write_onnx(family_folder("bert"))


def test_a_model_that_cannot_be_traced_is_one_clear_error(
    family_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_onnx()
    folder = Path(shutil.copytree(family_folder("bert"), tmp_path / "bert"))

    def decide(self: object, input_ids: object, attention_mask: object, token_type_ids: object = None) -> object:
        # Which way to go depends on a value: no graph holds that.
        return attention_mask.float() if input_ids.sum() > 3 else input_ids.float()

    monkeypatch.setattr(onnx._Logits, "forward", decide)
    with pytest.raises(DataError, match=r"a bert cannot be written as ONNX by torch .*export it without --onnx"):
        write_onnx(folder)
