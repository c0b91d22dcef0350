"""What a study's first stages, teachers and cells have come to so far: their values, read from its output folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limbeck.evaluation import query_means, suite_means
from limbeck.study.analysis.comparisons import Trained
from limbeck.study.analysis.results import Cell, Curve, Means
from limbeck.study.run.status import cell_state
from limbeck.study.run.store import Store, read_json, read_record
from limbeck.training.log import read_log
from limbeck.training.summary import TrainingSummary

POINTS = 200  # of a loss curve

Kept = Mapping[str, Any]
"""What a `values.json` holds; see `limbeck.study.run.evaluations.evaluate`."""
Evaluated = dict[tuple[str, str], list[tuple[Cell, dict[str, Kept]]]]
"""Backbone and recipe → finished cells, each with its values by collection."""


@dataclass(frozen=True)
class StudyValues:
    """The values in `store`. A cell counts with what it has finished; one that failed or is missing has none."""

    store: Store

    @cached_property
    def index(self) -> dict[str, Any]:
        return self.store.read_index()

    @cached_property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.index["measures"])

    @cached_property
    def tests(self) -> list[str]:
        return [collection["name"] for collection in self.index["collections"]]

    @cached_property
    def _evaluated(self) -> list[tuple[Cell, dict[str, Kept]]]:
        """Every cell, and its values by collection if it is done."""
        return [self._cell(entry) for entry in self.index["cells"]]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for cell, _ in self._evaluated)

    @property
    def seconds(self) -> float:
        """Spent on the cells, without the beginnings that several share."""
        return sum(float(self.store.state(cell.id).get("seconds", 0)) for cell in self.cells)

    @cached_property
    def done(self) -> Evaluated:
        """On the study's own first stage."""
        found: Evaluated = {}
        for cell, kept in self._evaluated:
            if cell.state == "done":
                found.setdefault((cell.backbone, cell.recipe), []).append((cell, kept))
        return found

    @cached_property
    def trained(self) -> list[Trained]:
        return self.trained_on(self.done)

    def trained_on(self, done: Evaluated) -> list[Trained]:
        """Every recipe of every backbone, with its values on one first stage's candidates."""
        return [
            Trained(
                backbone["name"],
                recipe["name"],
                self._values(done.get((backbone["name"], recipe["name"]), ())),
                self._prefixes(backbone["name"], recipe["name"]),
            )
            for backbone in self.index["backbones"]
            for recipe in self.index["recipes"]
        ]

    @cached_property
    def on_others(self) -> dict[str, Evaluated]:
        """Of each other first stage, the cells that have re-ranked its candidates on all test collections."""
        found: dict[str, Evaluated] = {}
        for stage in self.index.get("other_first_stages", ()):  # an older limbeck's index has none
            done: Evaluated = {}
            for key, cells in self.done.items():
                for cell, _ in cells:
                    if kept := self.all_kept(cell.id, stage["cells"]):
                        done.setdefault(key, []).append((cell, kept))
            found[stage["name"]] = done
        return found

    @cached_property
    def trained_by_first_stage(self) -> dict[str, list[Trained]]:
        """First stage → the recipes with their values on its candidates; the study's own first."""
        others = {name: self.trained_on(done) for name, done in self.on_others.items() if done}
        return {self.index["first_stage"]["name"]: self.trained, **others}

    def _cell(self, entry: Mapping[str, Any]) -> tuple[Cell, dict[str, Kept]]:
        state, error = cell_state(self.store, entry, self.measures)
        folder = self.store.cell(entry["id"])
        summary = folder / "summary.json"
        curve, validation = training_curves(folder / "log.jsonl")
        evaluations = entry["evaluations"] if state == "done" else {}
        kept = {name: self.kept(entry["id"], key) for name, key in evaluations.items()}
        values = self.means(kept)
        cell = Cell(
            **{name: entry[name] for name in ("id", "backbone", "recipe", "seed")},
            state=state,
            error=error,
            training=read_record(summary, TrainingSummary) if summary.exists() else None,
            curve=curve,
            validation=validation,
            values=values,
            suites=self.suites(values),
        )
        return cell, kept

    def _values(
        self, done: Sequence[tuple[Cell, dict[str, Kept]]]
    ) -> dict[str, dict[str, dict[int, dict[str, float]]]]:
        return {
            name: {
                measure: {cell.seed: kept[name]["values"][measure] for cell, kept in done} for measure in self.measures
            }
            for name in (self.tests if done else ())
        }

    def _prefixes(self, backbone: str, recipe: str) -> dict[int, str]:
        """Seed → the beginning that its training shares with others; an older limbeck's index does not say."""
        return {
            entry["seed"]: entry["prefix"]
            for entry in self.index["cells"]
            if (entry["backbone"], entry["recipe"]) == (backbone, recipe) and entry.get("prefix")
        }

    def kept(self, cell_id: str | None, key: str) -> Kept:
        """One evaluation of a cell, or of what all cells share."""
        found: Kept = read_json(self.store.evaluation(cell_id, key) / "values.json")
        return found

    def all_kept(self, cell_id: str | None, keys: Mapping[str, str]) -> dict[str, Kept] | None:
        """The values on all test collections in all measures; None while some are to come."""
        if not all((self.store.evaluation(cell_id, key) / "values.json").exists() for key in keys.values()):
            return None
        kept = {name: self.kept(cell_id, key) for name, key in keys.items()}
        return kept if all(set(self.measures) <= set(found["values"]) for found in kept.values()) else None

    def means(self, kept: Mapping[str, Kept]) -> Means:
        """Collection → measure → mean over its judged queries."""
        return {name: query_means(found["values"], self.measures) for name, found in kept.items()}

    def suites(self, values: Means) -> Means:
        """Complete suites → measure → mean over the members."""
        found: dict[str, dict[str, float]] = {}
        for measure in self.measures if values else ():
            for suite, mean in suite_means({name: of[measure] for name, of in values.items()}).items():
                found.setdefault(suite, {})[measure] = mean
        return found


def training_curves(log: Path) -> tuple[Curve, Curve]:
    """The loss as means over at most `POINTS` equal stretches, and the value of every validation."""
    records = read_log(log)
    steps = [(record["step"], record["loss"]) for record in records if record["kind"] == "step"]
    width = max(1, -(-len(steps) // POINTS))
    stretches = [steps[start : start + width] for start in range(0, len(steps), width)]
    curve = tuple((stretch[-1][0], sum(loss for _, loss in stretch) / len(stretch)) for stretch in stretches)
    return curve, tuple((record["step"], record["value"]) for record in records if record["kind"] == "validation")
