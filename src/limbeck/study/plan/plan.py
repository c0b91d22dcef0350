"""A study's cells: what each is, and the id that stands for everything that can change its outcome."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from limbeck.core.errors import UsageError
from limbeck.core.json_files import key_of
from limbeck.objectives import parse
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import Exit, Stage
from limbeck.study.config.study import Study
from limbeck.training import Settings

FORMAT = 1
"""Raised when cells made by an older version are no longer what the same description would give."""


@dataclass(frozen=True)
class Cell:
    """One backbone, trained by one recipe from one seed.

    Attributes:
        description: all that can change its outcome, as plain JSON values; no name that the user chose is in it.
    """

    backbone: str
    recipe: str
    seed: int
    description: dict[str, Any]

    def prefix(self, stages: int) -> str:
        """What stands for the cell's training up to the end of its `stages`-th stage."""
        return key_of({**self.description, "stages": self.description["stages"][:stages]})

    @cached_property
    def prefixes(self) -> tuple[str, ...]:
        """What stands for the cell's training up to the end of each of its stages."""
        return tuple(self.prefix(stages) for stages in range(1, len(self.description["stages"]) + 1))

    @cached_property
    def id(self) -> str:
        """12 hex digits that stand for the description."""
        return key_of(self.description)

    @property
    def name(self) -> str:
        """The cell as people call it."""
        return f"{self.backbone} · {self.recipe} · seed {self.seed}"


@dataclass(frozen=True)
class StudyPlan:
    """All cells of a study, backbone by backbone, recipe by recipe, seed by seed."""

    study: Study
    cells: tuple[Cell, ...]
    warnings: tuple[str, ...] = ()

    def prefixes(self, cell: Cell) -> dict[int, str]:
        """Number of stages → key, of each prefix that a cell has in common with another one."""
        return {stages: key for stages, key in enumerate(cell.prefixes, 1) if self._beginnings[key] > 1}

    @cached_property
    def _beginnings(self) -> Counter[str]:
        """Prefix → how many different cells begin so."""
        different = {cell.id: cell for cell in self.cells if "exit" not in cell.description["backbone"]}.values()
        return Counter(key for cell in different for key in cell.prefixes)


def plan_study(study: Study) -> StudyPlan:
    """Load the study's collections and say what its cells are.

    Raises:
        UsageError: validation would see test queries.
        LimbeckError: a collection or file that cannot be read.
    """
    config, sources = study.config, study.sources
    warnings = (*study.warnings, *_check_queries(study))
    cells = []
    for backbone in config.backbones:
        for recipe, stages in config.recipes.items():
            described = _describe(study, backbone, stages)
            cells += [Cell(backbone, recipe, seed, _with_seed(described, seed)) for seed in config.seeds_of(recipe)]
    collections = dict.fromkeys([*config.collections.train, *config.collections.test])
    warnings += tuple(text for name in collections for text in sources.collection(name).warnings)
    return StudyPlan(study, tuple(cells), tuple(dict.fromkeys(warnings)))


def describe_cell(study: Study, backbone: str, recipe: str, seed: int, contents: bool = True) -> Cell:
    """One cell of a study.

    Args:
        contents: whether collections and files are there to be read; without, what they hold is no part of the
            description, which then says what the study file says, and is no cell's key.
    """
    described = _describe(study, backbone, study.config.recipes[recipe], contents)
    return Cell(backbone, recipe, seed, _with_seed(described, seed))


def _with_seed(described: dict[str, Any], seed: int) -> dict[str, Any]:
    return {**described, "seed": seed} if described["stages"] else described


def learning_rate(study: Study, backbone: str, stage: Stage) -> float:
    """A stage's learning rate: its own, else the backbone's."""
    rate = stage.learning_rate or study.config.backbones[backbone].learning_rate
    if rate is None:
        raise UsageError(f"no learning_rate in the stage of {stage.objective} nor in the backbone {backbone}")
    return rate


def lists_per_step(study: Study, backbone: str, stage: Stage) -> int:
    """A stage's lists per step: its own number, or its share of the backbone's batch."""
    if stage.lists_per_step is not None:
        return stage.lists_per_step
    batch = study.config.backbones[backbone].batch
    if batch is None or stage.batch_divisor is None:
        raise UsageError(f"no lists_per_step in the stage of {stage.objective}, nor a batch of {backbone} to divide")
    return max(1, batch // stage.batch_divisor)


def stated_steps(study: Study, backbone: str, stage: Stage) -> int | None:
    """A stage's optimiser steps: their number, or the fewest that see its `pairs`; None where its lists decide."""
    if stage.pairs is None:
        return stage.steps
    drawn = study.sources.sample(stage.lists).passages
    if drawn is None:
        raise UsageError(f"pairs of {stage.objective}: the sample of {stage.lists} draws no fixed number of passages")
    return math.ceil(stage.pairs / (drawn * lists_per_step(study, backbone, stage)))


def settings(study: Study) -> Settings:
    """How all cells are optimised."""
    return study.config.optimizer


def _describe(study: Study, name: str, stages: list[Stage], contents: bool = True) -> dict[str, Any]:
    config, sources = study.config, study.sources
    backbone = config.backbones[name]
    if isinstance(backbone, Exit):
        whole = _describe(study, backbone.of, stages, contents)
        return {**whole, "backbone": {**whole["backbone"], "exit": backbone.layers}}
    model = {
        "weights": sources.weights(backbone.model),
        "layers": backbone.layers,
        "max_length": backbone.pair_tokens,
        "query_tokens": backbone.query_tokens,
        **({} if backbone.passage_tokens is None else {"passage_tokens": backbone.passage_tokens}),
        "dropout": backbone.dropout,
        "single_separator": backbone.single_separator,
        **({"exits": sorted(backbone.exits)} if backbone.exits else {}),
        **({"match_words": True} if backbone.match_words else {}),
    }
    if not stages:
        return {"format": FORMAT, "backbone": model, "stages": []}
    # How often a training is saved changes nothing that comes out of it.
    optimizer = {key: value for key, value in dataclasses.asdict(settings(study)).items() if key != "checkpoint_every"}
    return {
        "format": FORMAT,
        "backbone": model,
        "collections": [sources.collection(each).fingerprint for each in config.collections.train if contents],
        "stages": [
            {
                "objective": str(parse(stage.objective)),
                "lists": sources.lists(stage.lists, contents),
                "sample": str(sources.sample(stage.lists)),
                "steps" if stage.epochs is None else "epochs": stage.epochs or stated_steps(study, name, stage),
                "lists_per_step": lists_per_step(study, name, stage),
                "learning_rate": learning_rate(study, name, stage),
                **({} if stage.order == "shuffled" else {"order": stage.order}),
            }
            for stage in stages
        ],
        "optimizer": optimizer,
        "validation": _describe_validation(study, contents),
    }


def _describe_validation(study: Study, contents: bool) -> dict[str, Any] | None:
    validation, sources = study.config.validation, study.sources
    if validation is None:
        return None
    first_stage = validation.first_stage or study.config.evaluation.first_stage
    return {
        "sets": [
            {
                "collection": sources.collection(name).fingerprint,
                "candidates": sources.candidates(first_stage, name),
            }
            for name in validation.collections
            if contents
        ],
        "depth": validation.depth,
        "measure": validation.measure,
        "every": validation.every,
        "best_so_far": validation.best_so_far,
    }


def evaluation_description(
    sources: Sources, collection: str, first_stage: str | None = None, **ranker: Any
) -> dict[str, Any]:
    """What decides the run that a ranker gives on a test collection; measures are taken from that run.

    `first_stage`: whose candidates it ranks; by default the evaluation's own.
    """
    evaluation = sources.config.evaluation
    return {
        "format": FORMAT,
        "collection": sources.collection(collection).fingerprint,
        "candidates": sources.candidates(first_stage or evaluation.first_stage, collection),
        "depth": evaluation.depth,
        **ranker,
    }


def _check_queries(study: Study) -> Iterator[str]:
    """Refuse a validation that holds test queries, or warn where it may; warn of tests whose queries are trained on."""
    config, sources = study.config, study.sources
    trained = _queries(sources, config.collections.train)
    validated = _queries(sources, config.validation.collections if config.validation else [])
    for name in config.collections.test:
        tested = _queries(sources, [name])
        shared = tested & validated
        if shared and config.validation and config.validation.allow_test_queries:
            yield (
                f"{len(shared)} of {len(tested)} queries of the test collection {name} have chosen the checkpoint: "
                "its values are better than they would be on unseen queries"
            )
        elif shared:
            raise UsageError(
                f"{study.path.name}: validation.collections: {len(shared)} of {len(tested)} queries of the test "
                f'collection {name} are validated on, such as "{min(shared)[1]}"; expected none, or the best is '
                "chosen by the test (allow_test_queries: true does it all the same, and warns)"
            )
        if shared := tested & trained:
            yield f"{len(shared)} of {len(tested)} queries of the test collection {name} are among the training queries"


def _queries(sources: Sources, names: Iterable[str]) -> set[tuple[str, str]]:
    """(id, text) of the splits' queries: collections may number theirs alike."""
    found = set()
    for name in names:
        collection = sources.collection(name)
        found |= {(query_id, collection.queries[query_id]) for query_id in collection.query_ids}
    return found
