"""Training: the plan, the exact bounded step, the loop, validation and checkpoints."""

from limbeck.training.config import Backbone, Settings, Stage, TrainingPlan, Validation
from limbeck.training.loop import train

__all__ = ["Backbone", "Settings", "Stage", "TrainingPlan", "Validation", "train"]
