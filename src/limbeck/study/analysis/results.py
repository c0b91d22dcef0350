"""What a study found: the values that reports, exports and `results.json` are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from limbeck.study.analysis.comparisons import (
    FirstStageDifference,
    MeanDifference,
    NearBestRecipe,
    RecipeDifference,
)
from limbeck.study.analysis.factors import FactorsOfStudy, NoFactors
from limbeck.study.plan.audit import AuditedPair
from limbeck.study.run.leaks import LeakSearch
from limbeck.study.run.status import CellState
from limbeck.training.summary import TrainingSummary

Means = Mapping[str, Mapping[str, float]]
"""Collection or suite → measure → mean over its judged queries."""
Curve = tuple[tuple[float, float], ...]
"""Optimiser steps, ascending, and what was recorded there."""


@dataclass(frozen=True, kw_only=True)
class TestCollection:
    """A test collection; `queries` are those with judgments."""

    name: str
    documents: int
    queries: int


@dataclass(frozen=True, kw_only=True)
class QueryCounts:
    """How a first stage answered a collection's judged queries; see `limbeck.evaluation.Evaluation`."""

    queries: int
    scored: int
    missing: int
    short: int


@dataclass(frozen=True, kw_only=True)
class FirstStage:
    """The candidates that all systems re-rank: `depth` of each query. `counts` are by collection."""

    name: str
    description: str
    depth: int
    values: Means
    suites: Means
    counts: Mapping[str, QueryCounts]


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher that re-ranks the same candidates."""

    name: str
    model: str
    values: Means


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """`layers` and `parameters` are those of its trained models; None where neither study nor training says so.

    `latency_ms` is the median query's, as `limbeck bench` measured it; None where it did not.
    """

    name: str
    model: str
    layers: int | None
    parameters: int | None
    latency_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a recipe. `steps`, `lists_per_step`: None where each backbone has its own, or they are not known.

    A `learning_rate` of several backbones that differ is text.
    """

    objective: str
    lists: str
    signal: str
    sample: str
    steps: int | None
    epochs: float | None
    lists_per_step: int | None
    learning_rate: float | str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How models are trained: stage after stage."""

    name: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training and its evaluation.

    Attributes:
        error: why it failed.
        training: what a training that has come to its end says of itself.
        curve: the loss, as means over at most 200 equal stretches.
        validation: the validation's values.
        values, suites: its means, and those over complete suites; empty unless it is done.
    """

    id: str
    backbone: str
    recipe: str
    seed: int
    state: CellState
    error: str | None
    training: TrainingSummary | None
    curve: Curve
    validation: Curve
    values: Means
    suites: Means


@dataclass(frozen=True, kw_only=True)
class OtherFirstStage:
    """The same models on another first stage's candidates; differences are to that first stage.

    `values` and `suites` are the cells', by their ids.
    """

    first_stage: FirstStage
    values: Mapping[str, Means]
    suites: Mapping[str, Means]
    comparisons: tuple[FirstStageDifference, ...]
    suite_comparisons: tuple[FirstStageDifference, ...]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Where the mean of a recipe on a backbone must lie, as the study file says, and where it lies.

    Attributes:
        value: over the seeds that are finished; None where none is, or where a suite is not complete.
    """

    backbone: str
    recipe: str
    collection: str
    measure: str
    at_least: float
    at_most: float
    value: float | None

    @property
    def holds(self) -> bool | None:
        """Whether the value lies within; None while there is none."""
        return None if self.value is None else self.at_least <= self.value <= self.at_most


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """All results that there are so far. `limbeck.core.files.plain` makes `results.json` of it.

    Attributes:
        created: when the study was first run, ISO 8601.
        margin: of equivalence, in the first measure's unit; None where the study file names none.
        output: the study's folder.
        own_document: what became of queries' own documents, where queries are documents too (ArguAna, Quora).
        facts: backbone → recipe → factor → how it stands: measured where a cell is finished, else as planned.
        terms: backbone → recipe → the sign of its terms; see `limbeck.study.plan.audit.terms`.
        seconds: spent on all cells together.
        measures: the first is the one that claims are about.
        latency: what backbones' latencies are of, such as `100 passages, fp32, 2 threads`; None where none is there.
        comparisons, suite_comparisons: recipes less the first stage, on collections and on complete suites.
        pairwise: recipes of a backbone, less one another, on each collection.
        over_backbones: recipes less one another, over all backbones and collections.
        near_best: recipes on backbones, and which of them are within the margin of the best; none without a margin.
    """

    name: str
    limbeck_version: str
    created: str
    rehearsal: bool
    measures: tuple[str, ...]
    margin: float | None
    output: str
    own_document: Literal["remove", "keep"]
    facts: Mapping[str, Mapping[str, Mapping[str, str]]]
    terms: Mapping[str, Mapping[str, str]]
    leaks: tuple[LeakSearch, ...]
    seconds: float
    collections: tuple[TestCollection, ...]
    first_stage: FirstStage
    other_first_stages: tuple[OtherFirstStage, ...]
    teachers: tuple[Teacher, ...]
    backbones: tuple[Backbone, ...]
    recipes: tuple[Recipe, ...]
    cells: tuple[Cell, ...]
    comparisons: tuple[FirstStageDifference, ...]
    suite_comparisons: tuple[FirstStageDifference, ...]
    pairwise: tuple[RecipeDifference, ...]
    over_backbones: tuple[MeanDifference, ...]
    audit: tuple[AuditedPair, ...]
    factors: FactorsOfStudy | NoFactors
    bounds: tuple[Bound, ...]
    warnings: tuple[str, ...]
    latency: str | None = None
    near_best: tuple[NearBestRecipe, ...] = ()

    def on(self, other: OtherFirstStage) -> "StudyResults":
        """The same results, as far as a table shows them, on the candidates of another first stage."""
        cells = tuple(
            replace(cell, values=other.values.get(cell.id, {}), suites=other.suites.get(cell.id, {}))
            for cell in self.cells
        )
        return replace(
            self,
            first_stage=other.first_stage,
            teachers=(),
            cells=cells,
            comparisons=other.comparisons,
            suite_comparisons=other.suite_comparisons,
        )
