"""On a CUDA device: flash attention over packed rows, and a step during which the host waits for nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from limbeck.collections import Collection
from limbeck.lists import Lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.tokens.pairs import collection_pairs
from limbeck.training import TrainingPlan, train
from limbeck.training.state import Student
from limbeck.training.step import AsyncScalars, assemble_batch, backward, read_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture
def no_waiting() -> Iterator[Callable[[], None]]:
    """From the call on, an operation that waits for the device raises."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


def test_readings_come_through_pinned_memory() -> None:
    readings = AsyncScalars([torch.tensor(2.5, device="cuda"), torch.tensor(3, device="cuda")])
    assert readings.read() == [2.5, 3.0]


@pytest.mark.parametrize("compiled", [False, True])
def test_scores_in_bf16_by_flash_attention_are_those_of_padded_fp32(compiled: bool, model: Path) -> None:
    flash = CrossEncoder.load(model, new_head=True, max_length=28, device="cuda", dropout=0.0, compiled=compiled)
    padded = CrossEncoder.load(model, new_head=True, max_length=28, device="cuda", dropout=0.0, packed=False)
    assert "flash attention" in flash.attention("bf16")
    pairs = [("alembic boils", " ".join(["copper", "drips"] * n)) for n in (1, 9, 3, 5)]
    np.testing.assert_allclose(flash.score(pairs, "bf16"), padded.score(pairs), atol=0.05)


def test_a_step_waits_for_nothing(
    model: Path,
    collection: Collection,
    lists: Lists,
    plan: Callable[..., TrainingPlan],
    no_waiting: Callable[[], None],
) -> None:
    encoder = CrossEncoder.load(model, new_head=True, max_length=28, device="cuda", dropout=0.0)
    encoder.model.train()
    pairs, student, objective = collection_pairs(encoder, collection), Student(plan(), encoder), parse("RankNet")
    drawn = [(n, np.arange(len(ids))) for n, ids in enumerate(lists.passage_ids)]
    for step in range(3):  # the first ones allocate
        if step == 2:
            no_waiting()
        batch = assemble_batch(pairs, lists, drawn, objective.signals).to(encoder.device)
        backward(
            encoder, read_step(encoder, pairs, batch.query_rows, batch.passage_rows, token_budget=60),
            lambda scores, batch=batch: objective(batch.matrix(scores), batch.targets, batch.mask),  # type: ignore[misc]
            seed=(step,), precision="bf16", max_tokens_without_grad_cache=1,
        )  # fmt: skip
        student.update(1e-3, clip=1.0)


def test_a_training_on_cuda_ends_with_a_model(plan: Callable[..., TrainingPlan], tmp_path: Path) -> None:
    summary = train(plan(), tmp_path / "out")
    assert summary["device"].startswith("cuda")
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()
