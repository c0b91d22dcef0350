"""A training, ready to run: its objectives, lists, texts and validation at hand, and the description of it all."""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from limbeck.collections import Collection, load_collection
from limbeck.core.errors import UsageError
from limbeck.core.json_files import key_of
from limbeck.core.options import Count, Doc, Rate, check_settings
from limbeck.lists import TEXTS_KEY, Lists, Sample, Sampler, open_lists
from limbeck.models.sources import resolve
from limbeck.objectives import MarginMSE, Objective, Sum, parse
from limbeck.runs import Run, read_run
from limbeck.training.config import (
    LEARNING_RATE,
    LISTS_PER_STEP,
    Backbone,
    ListOrder,
    Recipe,
    RecipeStage,
    Settings,
    ValidationSettings,
)

LOOKED_AT = 100
"""Lists of a stage whose scores are looked at for a warning: of a large file, all of them would take minutes."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One objective on one list source.

    Raises:
        UsageError: no steps, a learning rate that is not above 0, or lists without a signal that the objective needs.
    """

    objective: Objective
    lists: Lists = field(repr=False)
    sample: Sample = field(default_factory=Sample)
    steps: Annotated[Count, Doc("Number of optimiser steps.")]
    lists_per_step: Annotated[Count, Doc("Batch size in lists.")] = LISTS_PER_STEP
    learning_rate: Annotated[Rate, Doc("Peak learning rate.")] = LEARNING_RATE
    order: Annotated[ListOrder, Doc("Whether each epoch shuffles the lists or takes them as they are.")] = "shuffled"

    def __post_init__(self) -> None:
        check_settings(self)
        absent = sorted(self.objective.signals - self.lists.signals)
        if absent:
            raise UsageError(
                f"{self.objective} needs {' and '.join(absent)}; the lists carry "
                f"{', '.join(sorted(self.lists.signals)) or 'no signal'}: add that signal or choose another objective"
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know of it: nothing of this keeps it from being trained."""
        parts = [part for _, part in self.objective.parts] if isinstance(self.objective, Sum) else [self.objective]
        if not any(isinstance(part, MarginMSE) for part in parts) or self.lists.teacher_scores is None:
            return ()
        found = np.concatenate(self.lists.teacher_scores[:LOOKED_AT])
        if found.min() < 0 or found.max() > 1:
            return ()
        return (
            f"{self.objective}: its teacher scores lie in [0, 1] (as far as the first {LOOKED_AT} lists tell), so no "
            "margin is above 1, and the student learns to keep its scores that close together; multiply the teacher's "
            "scores (limbeck teach biencoder --scale 20), or take an objective that reads only their order, such as "
            "RankNet",
        )

    def sampler(self, seed: int, number: int) -> Sampler:
        """The sampler of this stage, the `number`-th of its recipe."""
        shuffled = self.order == "shuffled"
        return Sampler(self.lists, self.sample, self.lists_per_step, seed=seed, stage=number, shuffled=shuffled)


@dataclass(frozen=True, kw_only=True)
class Validation(ValidationSettings):
    """Validation on collections, each with the run whose candidates are re-ranked."""

    sets: tuple[tuple[Collection, Run], ...] = field(repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sets:
            raise UsageError("validation has no collections, expected at least one")
        names = [collection.name for collection, _ in self.sets]
        if len(set(names)) < len(names):
            raise UsageError(f"validation names a collection twice ({', '.join(names)}), expected each once")


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Everything that can change a trained model."""

    backbone: Backbone
    stages: tuple[Stage, ...]
    collection: Collection = field(repr=False)
    seed: int = 1
    settings: Settings = field(default_factory=Settings)
    validation: Validation | None = None

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError("a training needs at least one stage")
        if self.backbone.exits and self.settings.compiled:
            raise UsageError("exits are not trained with compiled layers; leave compiled out")
        for stage in self.stages:
            check_texts(stage.lists, self.collection)

    @classmethod
    def of(cls, recipe: Recipe) -> "TrainingPlan":
        """The plan of a recipe, whose files are read. Raises what `load_collection`, `open_lists` and `read_run` do."""
        validation = None
        if recipe.validation is not None:
            named = dataclasses.asdict(recipe.validation)
            places = zip(named.pop("collections"), named.pop("runs"), strict=True)
            sets = tuple((load_collection(collection), read_run(Path(run))) for collection, run in places)
            validation = Validation(sets=sets, **named)
        return cls(
            backbone=recipe.backbone,
            stages=tuple(_stage(stage) for stage in recipe.stages),
            collection=load_collection(recipe.collection),
            seed=recipe.seed,
            settings=recipe.optimizer,
            validation=validation,
        )

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
        backbone = dataclasses.asdict(self.backbone) | {"sha256": sha256, "max_length": self.backbone.pair_tokens}
        if not backbone["exits"]:
            del backbone["exits"]  # which older plans know nothing of
        if sha256:
            del backbone["model"]  # the same weights in another place are the same model
        settings = dataclasses.asdict(self.settings)
        del settings["checkpoint_every"]  # changes no outcome
        return {
            "backbone": backbone,
            "stages": [_described(stage) for stage in self.stages],
            "collection": self.collection.fingerprint,
            "seed": self.seed,
            "settings": settings,
            "validation": self.validation and _described(self.validation),
        }

    @property
    def fingerprint(self) -> str:
        """16 hex digits that stand for `describe()`."""
        return key_of(self.describe(), 16)


def check_texts(lists: Lists, collection: Collection) -> None:
    """UsageError where lists were made with other texts than a collection's: equal ids may mean others there."""
    made_with = set(lists.metadata.get(TEXTS_KEY, "").split(" + ")) - {"", "-"}
    if made_with - collection.all_texts_fingerprints:
        raise UsageError(
            f"the lists were made with the texts of {lists.metadata.get('collection', 'another collection')} as they "
            f"were then, and {collection.name} has others: equal ids would be read as other texts; give the collection "
            "that they were made with, or make the lists anew with this one"
        )


def _described(values: Any) -> dict[str, Any]:
    """Every field of a stage or a validation: none can be forgotten."""
    return {each.name: _plain(getattr(values, each.name)) for each in dataclasses.fields(values)}


def _plain(value: Any) -> Any:
    if isinstance(value, Lists | Collection | Run):
        return value.fingerprint
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Objective | Sample) else value


def _stage(stage: RecipeStage) -> Stage:
    objective, lists = parse(stage.objective), open_lists(stage.lists)
    sample = Sample.parse(stage.sample) if isinstance(stage.sample, str) else Sample.from_mapping(stage.sample)
    lists_per_step = stage.lists_per_step or LISTS_PER_STEP
    steps = stage.steps
    if stage.epochs is not None:
        steps = Sampler(lists, sample, lists_per_step, seed=0).steps(stage.epochs)
    if stage.pairs is not None:
        if sample.passages is None:
            raise UsageError(
                f"pairs are counted, but the sample ({sample}) draws no fixed number of passages; give steps"
            )
        steps = math.ceil(stage.pairs / (sample.passages * lists_per_step))
    assert steps is not None  # a recipe's stage has one of the three
    return Stage(
        objective=objective,
        lists=lists,
        sample=sample,
        steps=steps,
        lists_per_step=lists_per_step,
        learning_rate=stage.learning_rate or LEARNING_RATE,
        order=stage.order,
    )
