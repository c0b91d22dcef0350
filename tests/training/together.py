"""One of several processes, started by test_processes.py: `together.py MODEL OUTPUT`.

Compares the gradients of all processes together with those of one alone, of two for every objective, and then goes
on with two trainings in OUTPUT, one of whole and one of divided weights, until it is asked to stop or they end. The
first process prints what it found as one line of JSON.
"""

import json
import os
import signal
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed.tensor import DTensor

from limbeck.core.devices import ALONE, Processes
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import names, parse
from limbeck.tokens.pairs import Pairs, collection_pairs
from limbeck.training import Backbone, loop, train
from limbeck.training.step import assemble_batch, backward, read_step

spec = spec_from_file_location("training_conftest", Path(__file__).with_name("conftest.py"))
assert spec is not None
assert spec.loader is not None
conftest = module_from_spec(spec)
spec.loader.exec_module(conftest)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor of which this process may hold a part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@cache
def loaded(processes: Processes, sharded: bool) -> tuple[CrossEncoder, Pairs]:
    """The small model in float64 where weights are whole, and the tokens of the small collection."""
    encoder = CrossEncoder.load(
        sys.argv[1],
        new_head=True,
        max_length=28,
        seed=1,
        device="cpu",
        dropout=0.0,
        processes=processes,
        sharded=sharded,
    )
    if not sharded:
        encoder.model.double()
    encoder.model.train()
    return encoder, collection_pairs(encoder, conftest.make_collection())


def gradients(
    objective: str, max_tokens_without_grad_cache: int, processes: Processes, sharded: bool
) -> dict[str, torch.Tensor]:
    """Gradients of all the small lists."""
    encoder, pairs = loaded(processes, sharded)
    encoder.model.zero_grad()
    lists = conftest.make_lists()
    drawn = [(n, np.arange(len(ids))) for n, ids in enumerate(lists.passage_ids)]
    batch = assemble_batch(pairs, lists, drawn, parse(objective).signals)
    backward(
        encoder, read_step(encoder, pairs, batch.query_rows, batch.passage_rows, token_budget=60),
        lambda scores: parse(objective)(batch.matrix(scores), batch.targets, batch.mask),
        seed=(1,), max_tokens_without_grad_cache=max_tokens_without_grad_cache,
    )  # fmt: skip
    return {name: whole(weight.grad).double() for name, weight in encoder.model.named_parameters()}


@cache
def alone(objective: str) -> dict[str, torch.Tensor]:
    """The gradients of this process alone, in one micro-batch's graph."""
    return gradients(objective, 10**9, ALONE, False)


def difference(objective: str, max_tokens_without_grad_cache: int, sharded: bool) -> float:
    """Largest difference of all processes' gradients from those of one, as a share of the largest; 0 but on the first.

    What one process computes is the same whether or not it keeps its graphs: tests of a step hold it to that.
    """
    found = gradients(objective, max_tokens_without_grad_cache, PROCESSES, sharded)
    if not PROCESSES.is_first:
        return 0.0
    largest = max(float(gradient.abs().max()) for gradient in alone(objective).values())
    apart = (float((found[name] - gradient).abs().max()) for name, gradient in alone(objective).items())
    return max(apart) / largest


def trained(sharded: bool) -> str:
    """How a training goes on: to its end, or until the last process is asked to stop behind its fifth step."""
    real, output = loop.backward, Path(sys.argv[2]) / ("sharded" if sharded else "whole")
    begun = output.exists()

    def signalled(*args: Any, **options: Any) -> Any:
        if options["seed"][1:] == (0, 4) and not begun and PROCESSES.rank == PROCESSES.count - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*args, **options)

    PROCESSES.gather(0)  # all have looked whether the folder is there
    loop.backward = signalled  # type: ignore[assignment]
    plan = conftest.make_plan(Path(sys.argv[1]), backbone=Backbone(model=sys.argv[1], max_length=28, dropout=0.0))
    try:
        train(plan, output, processes=PROCESSES, sharded=sharded)
    except KeyboardInterrupt:
        return "stopped"
    finally:
        loop.backward = real
    return "finished"


PROCESSES = Processes.joined()
OBJECTIVES = names() if PROCESSES.count == 2 else ["RankNet", "InfoNCE"]
result = {
    # Whether graphs are kept, by turns: which it is does not depend on the objective.
    "whole": max(difference(objective, (1, 10**9)[n % 2], False) for n, objective in enumerate(OBJECTIVES)),
    "sharded": max(difference("RankNet", tokens, True) for tokens in (1, 10**9)),
    "trainings": [trained(False), trained(True)],
}
if PROCESSES.is_first:
    print(json.dumps(result))
