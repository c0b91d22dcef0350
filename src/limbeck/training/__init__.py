"""Training: what is declared of one, the plan, the exact bounded step, the loop, validation and checkpoints."""

from typing import TYPE_CHECKING, Any

from limbeck.training.config import Backbone, Recipe, Settings, StageSettings, ValidationSettings

if TYPE_CHECKING:
    from limbeck.training.loop import train
    from limbeck.training.plan import Stage, TrainingPlan, Validation

__all__ = [
    "Backbone",
    "Recipe",
    "Settings",
    "Stage",
    "StageSettings",
    "TrainingPlan",
    "Validation",
    "ValidationSettings",
    "train",
]


def __getattr__(name: str) -> Any:
    # torch and Arrow, which what is only declared does not need.
    if name == "train":
        from limbeck.training.loop import train

        return train
    if name in ("Stage", "TrainingPlan", "Validation"):
        from limbeck.training import plan

        return getattr(plan, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
