"""What a training is to do: backbone, stages, settings, validation and seed."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.core.hashing import key_of
from limbeck.lists import Lists, Sample, Sampler
from limbeck.models.sources import resolve
from limbeck.objectives import Objective
from limbeck.runs import Run
from limbeck.training.schedule import SCHEDULES


@dataclass(frozen=True)
class Backbone:
    """The model that training starts from, and how it reads a pair.

    Attributes:
        model: folder, Hub id or `package:NAME/PATH`.
        layers: keep only the first `layers` transformer layers.
        max_length: longest pair in tokens.
        query_tokens: longest query in tokens.
        dropout: share of activations dropped in training, everywhere in the model; None: as its configuration says.
        sha256: refuse local weights whose digest does not begin with this.
        single_separator: put one separator between query and passage where the tokeniser would put two.
    """

    model: str
    layers: int | None = None
    max_length: int = 256
    query_tokens: int = 64
    dropout: float | None = None
    sha256: str | None = None
    single_separator: bool = False

    def __post_init__(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}, expected a number from 0 to below 1")


@dataclass(frozen=True)
class Stage:
    """One objective on one list source.

    Raises:
        UsageError: no steps, a learning rate that is not above 0, or lists without a signal that the objective needs.
    """

    objective: Objective
    lists: Lists = field(repr=False)
    sample: Sample
    steps: int
    lists_per_step: int
    learning_rate: float

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UsageError(f"steps is {self.steps}, expected a whole number ≥ 1")
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"learning_rate is {self.learning_rate}, expected a number above 0")
        absent = sorted(self.objective.signals - self.lists.signals)
        if absent:
            raise UsageError(
                f"{self.objective} needs {' and '.join(absent)}; the lists carry "
                f"{', '.join(sorted(self.lists.signals)) or 'no signal'}: add that signal or choose another objective"
            )

    def sampler(self, seed: int, number: int) -> Sampler:
        """The sampler of this stage, the `number`-th of its recipe."""
        return Sampler(self.lists, self.sample, self.lists_per_step, seed, number)


@dataclass(frozen=True)
class Settings:
    """How the weights are optimised: AdamW, linear warm-up, a schedule, gradients clipped by their norm.

    Attributes:
        warmup: share of a stage's steps when below 1, else a number of steps.
        clip: largest gradient norm; 0 leaves gradients as they are.
        precision: `fp32`, or `bf16` for products in bfloat16 with fp32 weights.
        token_budget: most tokens of one micro-batch, padding included.
        max_tokens_without_grad_cache: a step of at most this many tokens keeps all its graphs alive and needs one
            forward only; a larger one is scored without graphs first and replayed, in memory that does not grow with
            the step.
        compiled: whether the backbone's layers go through torch.compile: for CUDA; on a CPU it is slower (docs/LOG.md).
            Dropout then drops other elements.
        checkpoint_every: steps between checkpoints.
        schedule: `linear` decay to zero at a stage's end, or `constant`.
    """

    warmup: float = 0.1
    weight_decay: float = 0.0
    clip: float = 1.0
    precision: str = "fp32"
    token_budget: int = 2048
    max_tokens_without_grad_cache: int = 12288
    compiled: bool = False
    checkpoint_every: int = 500
    schedule: str = "linear"

    def __post_init__(self) -> None:
        if self.precision not in ("fp32", "bf16"):
            raise UsageError(f"precision is {self.precision!r}, expected fp32 or bf16")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"schedule is {self.schedule!r}, expected {' or '.join(SCHEDULES)}")
        for name in ("warmup", "weight_decay", "clip"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UsageError(f"{name} is {getattr(self, name)}, expected a number ≥ 0")
        for name in ("token_budget", "max_tokens_without_grad_cache", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected a whole number ≥ 1")


@dataclass(frozen=True)
class Validation:
    """Held-out queries, re-ranked every so many steps; the checkpoint with the best mean over `sets` is kept.

    Attributes:
        best_so_far: the mean is taken over each set's best value so far, which can only rise: a checkpoint is kept
            whenever one set is at its best, however the others fare. As arXiv 2603.03010's code does.
    """

    sets: tuple[tuple[Collection, Run], ...] = field(repr=False)
    measure: str = "nDCG@10"
    every: int = 500
    depth: int = 100
    best_so_far: bool = False

    def __post_init__(self) -> None:
        if not self.sets:
            raise UsageError("validation has no collections, expected at least one")
        names = [collection.name for collection, _ in self.sets]
        if len(set(names)) < len(names):
            raise UsageError(f"validation names a collection twice ({', '.join(names)}), expected each once")
        for name in ("every", "depth"):
            if getattr(self, name) < 1:
                raise UsageError(f"validation: {name} is {getattr(self, name)}, expected a whole number ≥ 1")


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that can change a trained model."""

    backbone: Backbone
    stages: tuple[Stage, ...]
    collection: Collection = field(repr=False)
    seed: int = 1
    settings: Settings = Settings()
    validation: Validation | None = None

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("a training needs at least one stage")

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages together."""
        return sum(stage.steps for stage in self.stages)

    def prefix(self, stages: int) -> "TrainingPlan":
        """The same training up to the end of its `stages`-th stage."""
        return dataclasses.replace(self, stages=self.stages[:stages])

    def place(self, step: int) -> tuple[int, int]:
        """(stage, step within it), both from 0, of the `step`-th optimiser step, from 0."""
        for number, stage in enumerate(self.stages):
            if step < stage.steps:
                return number, step
            step -= stage.steps
        raise UsageError(f"step {step} lies beyond the plan's {self.steps} steps")

    def describe(self) -> dict[str, Any]:
        """The plan as plain JSON values: what must be equal for a training to be resumed."""
        sha256 = resolve(self.backbone.model).sha256
        backbone = dataclasses.asdict(self.backbone) | {"sha256": sha256}
        if sha256:
            del backbone["model"]  # the same weights in another place are the same model
        settings = dataclasses.asdict(self.settings)
        del settings["checkpoint_every"]  # changes no outcome
        validation = self.validation and {
            "sets": [
                {"collection": collection.fingerprint, "run": run.fingerprint}
                for collection, run in self.validation.sets
            ],
            "measure": self.validation.measure,
            "every": self.validation.every,
            "depth": self.validation.depth,
            "best_so_far": self.validation.best_so_far,
        }
        return {
            "backbone": backbone,
            "stages": [
                {
                    "objective": str(stage.objective),
                    "lists": stage.lists.fingerprint,
                    "sample": str(stage.sample),
                    "steps": stage.steps,
                    "lists_per_step": stage.lists_per_step,
                    "learning_rate": stage.learning_rate,
                }
                for stage in self.stages
            ],
            "collection": self.collection.fingerprint,
            "seed": self.seed,
            "settings": settings,
            "validation": validation,
        }

    @property
    def fingerprint(self) -> str:
        """16 hex digits that stand for `describe()`."""
        return key_of(self.describe(), 16)
