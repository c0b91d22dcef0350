"""The verb that trains one cross-encoder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import CollectionName, Json, errors, load, print_json
from limbeck.core.errors import UsageError

if TYPE_CHECKING:
    from limbeck.lists import Lists
    from limbeck.training import Validation


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("train")(train)


def train(
    backbone: Annotated[str, typer.Option(help="Folder, Hub id or package:NAME/PATH.")],
    objective: Annotated[str, typer.Option(help='Such as BCE, "InfoNCE(temperature=0.5)" or "RankNet + 0.1*InfoNCE".')],
    lists: Annotated[Path, typer.Option(help="Training lists (Parquet).")],
    collection: CollectionName,
    output: Annotated[Path, typer.Option(help="Folder for the model, log and checkpoints.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Instead of steps: visits of every list.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Keep only the first layers of the backbone.")] = None,
    lists_per_step: Annotated[int, typer.Option(min=1)] = 8,
    sample: Annotated[
        str, typer.Option(help='Passages drawn from a list: "positives=1, negatives=7", "size=16", "depth=50" or all.')
    ] = "all",
    max_length: Annotated[int, typer.Option(min=8, help="Longest pair in tokens.")] = 256,
    dropout: Annotated[float | None, typer.Option(help="Default: as the backbone's configuration says.")] = None,
    learning_rate: Annotated[float, typer.Option()] = 2e-5,
    warmup: Annotated[float, typer.Option(help="Share of the steps if below 1, else steps.")] = 0.1,
    weight_decay: Annotated[float, typer.Option()] = 0.0,
    clip: Annotated[float, typer.Option(help="Largest gradient norm; 0: no clipping.")] = 1.0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    token_budget: Annotated[int, typer.Option(min=1, help="Most tokens of one micro-batch.")] = 2048,
    max_tokens_without_grad_cache: Annotated[
        int, typer.Option(min=1, help="A step of at most so many tokens keeps all graphs: faster, for more memory.")
    ] = 12288,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the layers (torch.compile); for CUDA, slower on a CPU.")
    ] = False,
    sharded: Annotated[
        bool, typer.Option("--sharded", help="Divide the weights among the processes that torchrun started (FSDP).")
    ] = False,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 500,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    validation_collection: Annotated[str | None, typer.Option(help="Held-out queries; needs --validation-run.")] = None,
    validation_run: Annotated[Path | None, typer.Option(help="Their candidates.")] = None,
    validation_measure: Annotated[str, typer.Option()] = "nDCG@10",
    validation_every: Annotated[int, typer.Option(min=1, help="Steps between validations.")] = 100,
    validation_depth: Annotated[int, typer.Option(min=1)] = 100,
    json: Json = False,
) -> None:
    """Train a cross-encoder; the model is OUTPUT/model. The same command again resumes.

    On several devices: torchrun --nproc-per-node N -m limbeck train …
    """
    from limbeck.core.distributed import Processes
    from limbeck.lists import Sample, read_lists
    from limbeck.objectives import parse
    from limbeck.training import Backbone, Settings, Stage, TrainingPlan
    from limbeck.training import train as run_training

    if (steps is None) == (epochs is None):
        raise UsageError("give either --steps or --epochs")
    parsed, drawn, data = parse(objective), Sample.parse(sample), load(collection)
    rows = read_lists(lists)
    validation = _validation(
        validation_collection, validation_run, validation_measure, validation_every, validation_depth
    )
    plan = TrainingPlan(
        Backbone(backbone, layers, max_length, dropout=dropout),
        (
            Stage(
                parsed, rows, drawn, steps or _steps(rows, drawn, lists_per_step, epochs), lists_per_step, learning_rate
            ),
        ),
        data,
        seed,
        Settings(
            warmup,
            weight_decay,
            clip,
            precision,
            token_budget,
            max_tokens_without_grad_cache,
            compiled,
            checkpoint_every,
        ),
        validation,
    )
    processes = Processes.joined()
    summary = run_training(plan, output, errors(), processes=processes, sharded=sharded)
    if not processes.is_first:
        return
    if json:
        print_json({**summary, "backbone": summary["model"], "model": str(output / "model")})
        return
    stage = summary["stages"][0]
    skipped = ", ".join(f"{count} {reason}" for reason, count in stage["skipped"].items()) or "none"
    typer.echo(f"{output / 'model'}: {summary['steps']} steps, {summary['pairs']} pairs, {summary['seconds']:.0f} s")
    typer.echo(f"  lists used: {stage['usable_lists']} of {stage['lists']} (left out: {skipped})")
    typer.echo(f"  pairs cut to {max_length} tokens: {summary['cut_pairs']}; padding {summary['padding']:.1%}")
    typer.echo(f"  computed as {summary['attention']}")
    if summary["best_value"] is not None:
        typer.echo(f"  best {summary['measure']} {summary['best_value']:.4f} at step {summary['best_step']}")


def _steps(lists: "Lists", sample: object, lists_per_step: int, epochs: float | None) -> int:
    from limbeck.lists import Sample, Sampler

    assert isinstance(sample, Sample)
    assert epochs is not None
    if epochs <= 0:
        raise UsageError(f"--epochs is {epochs}, expected a number above 0")
    return Sampler(lists, sample, lists_per_step, seed=0).steps(epochs)


def _validation(name: str | None, run: Path | None, measure: str, every: int, depth: int) -> "Validation | None":
    from limbeck.runs import read_run
    from limbeck.training import Validation

    if (name is None) != (run is None):
        raise UsageError("validation needs both --validation-collection and --validation-run")
    if name is None or run is None:
        return None
    return Validation(((load(name), read_run(run)),), measure, every, depth)
