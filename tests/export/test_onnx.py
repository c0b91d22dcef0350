"""The ONNX files compute what the model computes, for any batch and length."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from limbeck.core.errors import DataError, MissingError
from limbeck.export import onnx
from limbeck.export.onnx import FP32, INT8, onnx_encoder, write_onnx
from limbeck.models.cross_encoder import CrossEncoder

Folder = Callable[[str], Path]
Pairs = list[tuple[str, str]]
FAMILIES = ("bert", "roberta", "electra", "deberta-v3", "deberta-v2-conv", "modernbert", "mpnet", "distilbert")


def needs_onnx(*packages: str) -> None:
    for package in ("onnx", "onnxruntime", "onnxscript", *packages):
        pytest.importorskip(package, reason="pip install 'limbeck[export]'")


@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_scores_are_the_models_for_any_batch_and_length(
    family: str, family_folder: Folder, some_pairs: Pairs, tmp_path: Path
) -> None:
    if family != "bert" and "LIMBECK_TEST_ONNX" not in os.environ:
        pytest.skip("traces every family, ten seconds each: LIMBECK_TEST_ONNX=1")
    needs_onnx()
    encoder = CrossEncoder.load(family_folder(family), device="cpu")
    encoder.save(tmp_path / "model")
    write_onnx(tmp_path / "model")
    long = [("who heats the still?", "the alembic boils and the copper glows " * 20)]
    exact = onnx_encoder(encoder, tmp_path / "model" / FP32)
    for pairs in (some_pairs, some_pairs[:1], some_pairs[2:5], long):
        np.testing.assert_allclose(exact.score(pairs), encoder.score(pairs), atol=1e-4)
    own, eight = encoder.score(some_pairs), onnx_encoder(encoder, tmp_path / "model" / INT8).score(some_pairs)
    assert 0 < np.abs(own - eight).max() < 0.5 * np.ptp(own)
    assert (tmp_path / "model" / INT8).stat().st_size < (tmp_path / "model" / FP32).stat().st_size


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
