"""What a training makes of its device: whether its layers are compiled, and what it does where they cannot be."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from limbeck.models.cross_encoder import CrossEncoder
from limbeck.tokens.pairs import collection_pairs
from limbeck.training import Settings, TrainingPlan, train
from limbeck.training.device import (
    COMPILING_SECONDS,
    SECONDS_SAVED,
    Budgets,
    choose_compiling,
    reason_against_compiling,
)
from limbeck.training.state import State

Plan = Callable[..., TrainingPlan]
CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def trained(plan: TrainingPlan, output: Path, compiled: bool | None) -> tuple[dict[str, Any], str]:
    """The summary of a training, and what it printed."""
    said = StringIO()
    settings = replace(plan.settings, compiled=compiled)
    return train(replace(plan, settings=settings), output, Console(file=said, width=200)), said.getvalue()


@pytest.fixture
def still(plan: Plan) -> TrainingPlan:
    """One stage of the small plan, without dropout, of which compiled layers would drop other elements."""
    return plan(backbone=replace(plan().backbone, dropout=0.0)).prefix(1)


def test_a_training_with_compiled_layers_ends_as_one_without(still: TrainingPlan, tmp_path: Path) -> None:
    with torch.compiler.set_stance(force_backend="eager"):
        summary, said = trained(still, tmp_path / "compiled", compiled=True)
    assert summary["compiled"]
    assert "layers compiled" in said
    plain, said = trained(still, tmp_path / "plain", compiled=None)
    assert not plain["compiled"]
    assert "compiled" not in said
    ours, expected = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("compiled", "plain"))
    for name, weight in expected.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-4, atol=1e-5)


def test_layers_that_cannot_be_compiled_stay_as_they_are_and_the_reason_is_said(plan: Plan, tmp_path: Path) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no compiler in [/usr/bin]")

    with torch.compiler.set_stance(force_backend=broken):
        summary, said = trained(plan(), tmp_path / "broken", compiled=True)
    assert not summary["compiled"]
    assert "cannot be compiled here" in said
    assert "no compiler in [/usr/bin]" in said
    trained(plan(), tmp_path / "plain", compiled=False)
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("broken", "plain")]
    assert weights[0] == weights[1]


def test_layers_are_compiled_by_default_where_a_long_training_on_cuda_pays_for_it(model: Path) -> None:
    enough = COMPILING_SECONDS / SECONDS_SAVED
    packed, padded = (CrossEncoder.load(model, new_head=True, device="cpu", packed=packed) for packed in (True, False))
    settings = Settings()
    assert reason_against_compiling(packed, settings, CUDA, enough + 1) is None
    against = {
        "so short a training": reason_against_compiling(packed, settings, CUDA, enough / 2),
        "on a CPU": reason_against_compiling(packed, settings, CPU, 10 * enough),
        "those of a bert": reason_against_compiling(padded, settings, CUDA, 10 * enough),
        "same bytes": reason_against_compiling(packed, Settings(deterministic=True), CUDA, 10 * enough),
        "divided": reason_against_compiling(replace(packed, sharded=True), settings, CUDA, 10 * enough),
    }
    for words, reason in against.items():
        assert reason, words
        assert words in reason


def test_a_training_that_goes_on_without_what_was_compiled_says_so(plan: Plan, model: Path) -> None:
    encoder, said = CrossEncoder.load(model, new_head=True, device="cpu"), StringIO()
    planned, state = plan(), State(step=3, compiled=True)
    choose_compiling(
        encoder, planned, collection_pairs(encoder, planned.collection), (), state=state, budgets=Budgets(64, 150),
        product_rate=1e9, console=Console(file=said, width=200),
    )  # fmt: skip
    assert state.compiled is False
    assert "layers were compiled before: not byte-equal" in said.getvalue()
