"""The summary of a finished training: what was done, with what, and how much of it."""

from collections.abc import Sequence
from typing import Any

from limbeck.lists import Sampler
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.models.sources import resolve
from limbeck.training.plan import TrainingPlan
from limbeck.training.state import State


def summarise(
    plan: TrainingPlan, encoder: CrossEncoder, samplers: Sequence[Sampler], state: State, seconds: float
) -> dict[str, Any]:
    """What `summary.json` holds.

    Args:
        samplers: one for each stage.
        state: the loop's last state.
        seconds: spent on the training, all its runs together.
    """
    tokens, computed = (sum(stage[key] for stage in state.stages) for key in ("tokens", "computed_tokens"))
    return {
        "steps": state.step,
        "best_step": state.best_step or state.step,
        "best_value": state.best_value,
        "measure": plan.validation.measure if plan.validation else None,
        "pairs": sum(stage["pairs"] for stage in state.stages),
        "tokens": tokens,
        "padding": 1 - tokens / computed,
        "cut_pairs": state.cut_pairs,
        "single_pass_steps": state.single_pass_steps,
        "seconds": seconds,
        "parameters": encoder.parameters,
        "layers": encoder.model.config.num_hidden_layers,
        "model": plan.backbone.model,
        "model_sha256": resolve(plan.backbone.model).sha256,
        "precision": plan.settings.precision,
        "attention": encoder.attention(plan.settings.precision),
        "device": str(encoder.device),
        "processes": encoder.processes.count,
        "seed": plan.seed,
        "stages": [
            {
                "objective": str(stage.objective),
                "steps": stage.steps,
                "lists": len(stage.lists),
                "usable_lists": sampler.usable,
                "skipped": sampler.skipped,
                **counts,
            }
            for stage, sampler, counts in zip(plan.stages, samplers, state.stages, strict=True)
        ],
    }
