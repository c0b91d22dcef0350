"""The summary of a finished training: what was done, with what, and how much of it."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from limbeck.core.errors import DataError
from limbeck.core.files import plain, replace_folder, sync, temporary_folder, wrap_write_errors, write_json
from limbeck.core.json_files import read_record
from limbeck.lists import Sampler
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.sources import resolve
from limbeck.training.config import Backbone
from limbeck.training.plan import TrainingPlan
from limbeck.training.state import State

SUMMARY, MODEL, EXITS = "summary.json", "model", "exits"


def model_folders(output: Path, exits: Sequence[int]) -> list[Path]:
    """Where a training puts its model, and below `exits` those of its exits, by their number of layers."""
    return [output / MODEL, *(output / EXITS / str(layers) for layers in exits)]


@dataclass(frozen=True, kw_only=True)
class StageSummary:
    """What one stage came to.

    Attributes:
        lists, usable_lists: of its source, and of these the ones that its objective can learn from.
        skipped: why the others cannot → how many.
        pairs, tokens, computed_tokens: that were trained on; the last with padding.
    """

    objective: str
    steps: int
    lists: int
    usable_lists: int
    skipped: dict[str, int]
    pairs: int
    tokens: int
    computed_tokens: int


@dataclass(frozen=True, kw_only=True)
class ExitSummary:
    """The model of an exit: that of the first `layers`, in the folder of this name below `exits`."""

    layers: int
    parameters: int
    weights_sha256: str


@dataclass(frozen=True, kw_only=True)
class TrainingSummary:
    """What `summary.json` holds.

    Attributes:
        best_step, best_value: of the checkpoint that is kept; the last step, and None, without validation.
        padding: share of the computed tokens.
        cut_pairs: pairs that were longer than the maximum.
        single_pass_steps: steps whose pairs all fitted into memory at once.
        seconds: spent on the training, all its runs together.
        compiled: whether its layers were, in the run that ended it.
        model_sha256: of the weights that it began with; None for those of the Hub.
        weights_sha256: of the weights that it ended with, as they were written; None in folders of older versions.
        exits: the smaller models beside `model`, if any were trained too.
    """

    steps: int
    best_step: int
    best_value: float | None
    measure: str | None
    pairs: int
    tokens: int
    padding: float
    cut_pairs: int
    single_pass_steps: int
    seconds: float
    parameters: int
    layers: int
    model: str
    model_sha256: str | None
    precision: str
    attention: str
    device: str
    processes: int
    seed: int
    stages: tuple[StageSummary, ...]
    weights_sha256: str | None = None
    compiled: bool = False
    exits: tuple[ExitSummary, ...] = ()


def read_summary(output: Path) -> TrainingSummary:
    """The summary of a finished training. DataError, with file and line or key, where it is damaged."""
    return read_record(output / SUMMARY, TrainingSummary, "remove it to have the training finished again")


def finished(output: Path) -> tuple[dict[str, Any] | None, str | None]:
    """The summary of a training whose model is there as it was written, as plain values; None where there is none.

    Returns:
        and a sentence where a training had been finished and its model is gone.

    Raises:
        DataError: the model has been changed since, or the summary is damaged.
    """
    if not (output / SUMMARY).exists():
        return None, None
    summary = read_summary(output)
    digests = [summary.weights_sha256, *(one.weights_sha256 for one in summary.exits)]
    for model, digest in zip(model_folders(output, [one.layers for one in summary.exits]), digests, strict=True):
        weights = next((path.name for path in model.glob("model*.safetensors")), "model.safetensors")
        gone = [name for name in (weights, "config.json", "tokenizer.json") if not (model / name).is_file()]
        if gone:
            return None, f"{model}: {gone[0]} is gone since the training was finished; it is trained again"
        found = weights_digest(model)
        if digest not in (None, found):
            raise DataError(
                f"{model}: its weights are not those that the training ended with (sha256 {found[:12]}…, expected "
                f"{digest[:12]}…); put them back, or remove {output / SUMMARY} to train again"
            )
    return plain(summary), None


def save_exit(training: Path, layers: int, output: Path) -> None:
    """Put the model of a finished training's exit where a training of its own would have put it, with its summary."""
    summary = read_summary(training)
    [one] = [one for one in summary.exits if one.layers == layers]
    with wrap_write_errors(output), temporary_folder(output / MODEL) as aside:
        shutil.copytree(training / EXITS / str(layers), aside, dirs_exist_ok=True)
        sync(aside)
        replace_folder(aside, output / MODEL)
    own = replace(summary, layers=layers, parameters=one.parameters, weights_sha256=one.weights_sha256, exits=())
    write_json(output / SUMMARY, plain(own))


def weights_digest(model: Path) -> str:
    """SHA-256 of a saved model's weights."""
    digest = resolve(str(model)).sha256
    assert digest is not None  # a folder's are at hand
    return digest


def save_untrained(backbone: Backbone, output: Path) -> None:
    """Put a model that scores as it is where a training would have put its own, with a summary of no steps.

    Raises what `CrossEncoder.load` raises: UsageError for a backbone without a scoring head.
    """
    encoder = CrossEncoder.load(
        backbone.model, backbone.layers, backbone.max_length, backbone.query_tokens,
        sha256=backbone.sha256, single_separator=backbone.single_separator, passage_tokens=backbone.passage_tokens,
    )  # fmt: skip
    encoder.save(output / MODEL)
    summary = TrainingSummary(
        steps=0, best_step=0, best_value=None, measure=None, pairs=0, tokens=0, padding=0.0, cut_pairs=0,
        single_pass_steps=0, seconds=0.0, parameters=encoder.parameters, layers=encoder.model.config.num_hidden_layers,
        model=backbone.model, model_sha256=resolve(backbone.model).sha256, precision="fp32",
        attention=encoder.attention("fp32"), device=str(encoder.device), processes=1, seed=0, stages=(),
        weights_sha256=weights_digest(output / MODEL),
    )  # fmt: skip
    write_json(output / SUMMARY, asdict(summary))


def summarise(
    plan: TrainingPlan, encoder: CrossEncoder, samplers: Sequence[Sampler], state: State, seconds: float
) -> dict[str, Any]:
    """The summary of a training that has come to its end, as plain values (see `TrainingSummary`).

    Args:
        samplers: one for each stage.
        state: the loop's last state.
        seconds: spent on the training, all its runs together.
    """
    tokens, computed = (sum(stage[key] for stage in state.stages) for key in ("tokens", "computed_tokens"))
    summary = TrainingSummary(
        steps=state.step,
        best_step=state.best_step or state.step,
        best_value=state.best_value,
        measure=plan.validation.measure if plan.validation else None,
        pairs=sum(stage["pairs"] for stage in state.stages),
        tokens=tokens,
        padding=1 - tokens / computed,
        cut_pairs=state.cut_pairs,
        single_pass_steps=state.single_pass_steps,
        seconds=seconds,
        parameters=encoder.parameters,
        layers=encoder.model.config.num_hidden_layers,
        model=plan.backbone.model,
        model_sha256=resolve(plan.backbone.model).sha256,
        precision=plan.settings.precision,
        attention=encoder.attention(plan.settings.precision),
        compiled=bool(state.compiled),
        device=str(encoder.device),
        processes=encoder.processes.count,
        seed=plan.seed,
        stages=tuple(
            StageSummary(
                objective=str(stage.objective),
                steps=stage.steps,
                lists=len(stage.lists),
                usable_lists=sampler.usable,
                skipped=sampler.skipped,
                **counts,
            )
            for stage, sampler, counts in zip(plan.stages, samplers, state.stages, strict=True)
        ),
    )
    return {**asdict(summary), "stages": [asdict(stage) for stage in summary.stages], "exits": []}
