"""A step over packed rows never asks its device for a number: on CUDA each such question waits for all work before it.

Padded batches do, once a micro-batch: transformers looks whether their mask masks anything.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from limbeck.collections import Collection
from limbeck.lists import Lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import names, parse
from limbeck.tokens.pairs import collection_pairs
from limbeck.training import TrainingPlan
from limbeck.training.state import Student
from limbeck.training.step import AsyncScalars, assemble_batch, backward, read_step, score_spread

ASKING = {"_local_scalar_dense", "nonzero", "masked_select", "item", "equal", "is_nonzero", "unique", "_unique2"}


class Asked(Exception):
    pass


class Listening(TorchDispatchMode):
    """Raises where an operation's result, or its shape, is needed by the host."""

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = operation._schema.name.removeprefix("aten::")
        places = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in ASKING or any(place is not None and place.dtype == torch.bool for place in places):
            raise Asked(name)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("objective", [*names(), "RankNet + 0.1*InfoNCE"])
def test_a_step_asks_its_device_for_nothing(
    objective: str, model: Path, collection: Collection, lists: Lists, plan: Callable[..., TrainingPlan]
) -> None:
    encoder = CrossEncoder.load(
        model, new_head=True, max_length=28, device="cpu", packed=True, dropout=0.0
    )  # the CPU draws its own
    encoder.model.train()
    pairs, student, parsed = collection_pairs(encoder, collection), Student(plan(), encoder), parse(objective)
    drawn = [(n, np.arange(len(ids))) for n, ids in enumerate(lists.passage_ids)]
    before = {name: weight.detach().clone() for name, weight in student.weights.items()}
    with Listening():
        batch = assemble_batch(pairs, lists, drawn, parsed.signals).to(encoder.device)

        def loss_of(scores: torch.Tensor) -> torch.Tensor:
            return parsed(batch.matrix(scores), batch.targets, batch.mask)

        inputs = read_step(encoder, pairs, batch.query_rows, batch.passage_rows, token_budget=60)
        for tokens in (1, 10**9):
            work = backward(encoder, inputs, loss_of, seed=(1,), max_tokens_without_grad_cache=tokens)
        norm = student.update(1e-3, clip=1.0)
        readings = AsyncScalars([work.loss, norm, score_spread(batch.matrix(work.scores), batch.mask)])
        with pytest.raises(Asked):
            work.loss.item()
    assert readings.read() == pytest.approx([float(work.loss), float(norm), readings.read()[2]])
    assert any(not torch.equal(weight, before[name]) for name, weight in student.weights.items())
