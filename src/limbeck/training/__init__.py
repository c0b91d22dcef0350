"""Training: the plan, the exact bounded step, the loop, validation and checkpoints."""

from limbeck.training.loop import train
from limbeck.training.plan import Backbone, Settings, Stage, TrainingPlan, Validation

__all__ = ["Backbone", "Settings", "Stage", "TrainingPlan", "Validation", "train"]
