"""What a training makes of its device: how many tokens it takes at once, and whether its layers are compiled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console

from limbeck.core.devices import autocast
from limbeck.core.progress import say
from limbeck.kernels.layers import compile_layers
from limbeck.lists import Sampler
from limbeck.models.cost import training_flops
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.tokens.pairs import Pairs
from limbeck.training.config import Settings
from limbeck.training.plan import TrainingPlan
from limbeck.training.state import State
from limbeck.training.step import assemble_batch, prepare_step

COMPILING_SECONDS = 60.0
"""What compiling costs: at most three graphs, for training, replaying and scoring, whatever the number of layers."""
SECONDS_SAVED = 0.5
"""By compiled layers, for each second that the model's products take at the device's own rate. Predicted, of BERT-base,
which saves least (docs/benchmarks.md): at 59 % of that rate in place of 45 % it takes 1.7 seconds in place of 2.2."""


@dataclass(frozen=True)
class Budgets:
    """Tokens of one micro-batch, and tokens whose graphs are kept at once."""

    micro_batch: int
    graphs: int


def choose_budgets(encoder: CrossEncoder, settings: Settings, state: State, halvings: int, console: Console) -> Budgets:
    """Budgets as set, as before, or as memory allows, halved so often; the state keeps them as they were before that.

    A training that goes on keeps what it had, for dropout is drawn for each micro-batch.
    """
    before = (state.token_budget, state.graph_tokens)
    fit = encoder.training_tokens(settings.precision)
    fit = (min(encoder.processes.gather(fit[0])), min(encoder.processes.gather(fit[1])))
    derived = fit if not all(before) else (min(before[0], fit[0]), min(before[1], fit[1]))
    state.token_budget = settings.token_budget or derived[0]
    state.graph_tokens = settings.max_tokens_without_grad_cache or derived[1]
    budgets = Budgets(max(1, state.token_budget >> halvings), state.graph_tokens >> halvings)
    say(
        console,
        f"  micro-batches of at most {budgets.micro_batch:,} tokens; the graphs of at most {budgets.graphs:,} are kept "
        "at once",
    )
    if all(before) and (state.token_budget, state.graph_tokens) != before:
        say(
            console,
            f"  {before[0]:,} and {before[1]:,} before, when more memory was free: not byte-equal to an uninterrupted "
            "training",
            "yellow",
        )
    return budgets


def choose_compiling(
    encoder: CrossEncoder,
    plan: TrainingPlan,
    pairs: Pairs,
    samplers: Sequence[Sampler],
    state: State,
    budgets: Budgets,
    product_rate: float,
    console: Console,
) -> None:
    """Compile the layers where that was asked for, where it was so before, or where it pays; the state keeps which.

    A training that goes on keeps what it had, for compiled layers drop other elements. What was chosen is said, but for
    a CPU where nothing was asked for. Layers that cannot be compiled here, for want of a compiler or of Triton, stay as
    they are, and that is said too.

    Args:
        product_rate: what the device reaches in plain products, FLOPs a second.
    """
    asked, before, processes = plan.settings.compiled, state.compiled, encoder.processes
    if asked is None and encoder.device.type != "cuda":
        state.compiled = False
    elif asked is None and before is None:
        seconds = _flops(encoder, plan, pairs, samplers) / (product_rate * processes.count)
        against = reason_against_compiling(
            encoder, plan.settings, encoder.device, max(processes.gather(round(seconds)))
        )
        if against:
            say(console, f"  layers not compiled: {against}")
        state.compiled = against is None
    else:
        state.compiled = bool(before if asked is None else asked)
    if state.compiled:
        stage = plan.stages[0]
        prepared = prepare_step(
            encoder, pairs, stage.lists, samplers[0](0), stage.objective.signals, budgets.micro_batch
        )
        failed = compile_and_try(encoder, prepared.inputs.micro_batches[0], plan.settings.precision)
        if failed:
            say(console, f"  layers cannot be compiled here, and are not: {failed}", "yellow")
        else:
            say(console, "  layers compiled")
        state.compiled = not failed
    if before not in (None, state.compiled):
        earlier = "compiled" if before else "not compiled"
        say(console, f"  layers were {earlier} before: not byte-equal to an uninterrupted training", "yellow")


def reason_against_compiling(
    encoder: CrossEncoder, settings: Settings, device: torch.device, products_seconds: float
) -> str | None:
    """Why the layers of a training on a device are not compiled where nothing was asked for; None where they are.

    Args:
        products_seconds: what all products of the training would take at the device's own rate.
    """
    if device.type != "cuda":
        return "on a CPU that makes them slower"
    if not encoder.packed:
        return f"those of a {encoder.model.config.model_type} were never seen to compile as one graph for all lengths"
    if encoder.sharded:
        return "their weights are divided among processes"
    if encoder.exits:
        return "what they are given is read for exits"
    if settings.deterministic:
        return "compiled ones were never seen to give the same bytes each time"
    saved = SECONDS_SAVED * products_seconds
    if saved < COMPILING_SECONDS:
        return f"that takes some {COMPILING_SECONDS:.0f} s, and would save some {saved:.0f} s of so short a training"
    return None


def compile_and_try(encoder: CrossEncoder, micro_batch: dict[str, Any], precision: str) -> str | None:
    """Compile the layers of an encoder and use them in each way that a training does, on one micro-batch.

    Returns:
        Why they cannot be compiled, as some process of all found; the layers are then as they were.
    """
    model, computed = encoder.model, encoder.precision(precision).name
    undo, failed = compile_layers(model), None

    def scored() -> torch.Tensor:
        with autocast(encoder.device, computed):
            return encoder.forward(micro_batch)

    try:
        model.train()
        scored().sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            scored()
        model.eval()
        with torch.inference_mode():
            scored()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # What compilers raise has no common class; a fault of the model's own comes again without them.
        failed = " ".join(str(error).split("\n", 2)[:2]).strip() or type(error).__name__
    finally:
        model.eval()
        model.zero_grad(set_to_none=True)
    if max(encoder.processes.gather(failed is not None)):
        undo()
        return failed or "another process cannot"
    return None


def _flops(encoder: CrossEncoder, plan: TrainingPlan, pairs: Pairs, samplers: Sequence[Sampler]) -> float:
    """The model's operations in all of a training, as the first step of each stage tells them."""
    total = 0.0
    for stage, sampler in zip(plan.stages, samplers, strict=True):
        batch = assemble_batch(pairs, stage.lists, sampler(0), stage.objective.signals)
        total += stage.steps * training_flops(encoder.model, pairs.lengths(batch.query_rows, batch.passage_rows))
    return total
