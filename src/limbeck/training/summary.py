"""The summary of a finished training: what was done, with what, and how much of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from limbeck.lists import Sampler
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.sources import resolve
from limbeck.training.plan import TrainingPlan
from limbeck.training.state import State


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
class TrainingSummary:
    """What `summary.json` holds.

    Attributes:
        best_step, best_value: of the checkpoint that is kept; the last step, and None, without validation.
        padding: share of the computed tokens.
        cut_pairs: pairs that were longer than the maximum.
        single_pass_steps: steps whose pairs all fitted into memory at once.
        seconds: spent on the training, all its runs together.
        model_sha256: of the weights that it began with; None for those of the Hub.
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
    return asdict(summary)
