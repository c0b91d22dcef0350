"""The results of a study, gathered from its output folder as plain JSON values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limbeck.collections import suites
from limbeck.evaluation import suite_means
from limbeck.study.analysis.comparisons import (
    Trained,
    compare_on_suites,
    compare_over_backbones,
    compare_recipes,
    compare_with_first_stage,
)
from limbeck.study.analysis.factors import analyse_study
from limbeck.study.plan.audit import audit, measured_facts, terms
from limbeck.study.run.evaluate import means
from limbeck.study.run.leaks import leak_warnings
from limbeck.study.run.status import cell_state
from limbeck.study.run.store import Store, read_json
from limbeck.training.log import read_log

POINTS = 200  # of a loss curve


def gather(output: str | Path) -> dict[str, Any]:
    """All results there are so far in `output`: values, comparisons, audit, analysis of factors and warnings.

    A cell counts with what it has finished; one that failed or is missing is listed as such and has no values.

    Raises:
        MissingError: the folder holds no study, or nothing of it was run yet.
        DataError: a file in it is damaged.
    """
    return _Gathering(Store(output)).results()


@dataclass
class _Gathering:
    store: Store

    @cached_property
    def index(self) -> dict[str, Any]:
        return self.store.read_index()

    @cached_property
    def measures(self) -> list[str]:
        return list(self.index["measures"])

    @cached_property
    def margin(self) -> float | None:
        """Of equivalence; an older limbeck's study knows none."""
        return self.index.get("margin")  # type: ignore[no-any-return]

    @cached_property
    def tests(self) -> list[str]:
        return [collection["name"] for collection in self.index["collections"]]

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        return [self._cell(entry) for entry in self.index["cells"]]

    def results(self) -> dict[str, Any]:
        index, first = self.index, self.index["first_stage"]
        kept = {name: self._kept(None, key) for name, key in first["evaluations"].items()}
        values = {name: found["values"] for name, found in kept.items()}
        complete = {name: members for name, members in suites().items() if set(members) <= set(self.tests)}
        results = {
            **{name: index[name] for name in ("name", "limbeck_version", "created", "measures")},
            "rehearsal": index.get("rehearsal", False),
            "margin": self.margin,
            "output": str(self.store.folder),
            "facts": self.facts,
            "terms": {backbone: terms(recipes) for backbone, recipes in self.facts.items()},
            "leaks": self.leaks,
            "seconds": round(sum(self.store.state(cell["id"]).get("seconds", 0.0) for cell in self.cells), 2),
            "collections": [
                {key: each[key] for key in ("name", "documents", "queries")} for each in index["collections"]
            ],
            "first_stage": {
                **{key: first[key] for key in ("name", "description", "depth")},
                **self._averaged({name: means(found, self.measures) for name, found in kept.items()}),
                "counts": {
                    name: {key: found[key] for key in ("queries", "scored", "missing", "short")}
                    for name, found in kept.items()
                },
            },
            "teachers": [
                {
                    "name": teacher["name"],
                    "model": teacher["model"],
                    "values": {
                        name: means(self._kept(None, key), self.measures)
                        for name, key in teacher["evaluations"].items()
                    },
                }
                for teacher in index["teachers"]
            ],
            "backbones": [self._backbone(backbone) for backbone in index["backbones"]],
            "recipes": [self._recipe(recipe) for recipe in index["recipes"]],
            "cells": self.cells,
            "comparisons": compare_with_first_stage(self.trained, values, self.measures),
            "suite_comparisons": compare_on_suites(self.trained, values, self.measures, complete),
            "pairwise": compare_recipes(self.trained, self.tests, self.measures[0], self.differs, self.margin),
            "over_backbones": compare_over_backbones(
                self.trained, self.tests, self.measures[0], self.differs, self.margin
            ),
            "audit": self.audit,
            "warnings": [*index["warnings"], *self._warnings(kept)],
        }
        return {**results, "factors": analyse_study(results)}

    @cached_property
    def trained(self) -> list[Trained]:
        return [
            Trained(backbone["name"], recipe["name"], self._values(backbone["name"], recipe["name"]))
            for backbone in self.index["backbones"]
            for recipe in self.index["recipes"]
        ]

    @cached_property
    def audit(self) -> list[dict[str, Any]]:
        return audit(self.facts)

    @cached_property
    def facts(self) -> dict[str, dict[str, dict[str, str]]]:
        """Backbone → recipe → factor → how it stands: measured where a cell is finished, else as planned."""
        return {
            backbone: {recipe: {**stated, **self._measured(backbone, recipe)} for recipe, stated in recipes.items()}
            for backbone, recipes in self.index["facts"].items()
        }

    @cached_property
    def leaks(self) -> list[dict[str, Any]]:
        """What was searched for leaks so far; see `limbeck.study.run.leaks`."""
        found = []
        for search in self.index.get("leaks", ()):
            path = self.store.leaks(search["key"])
            if path.exists():
                found.append({**{name: search[name] for name in ("kind", "name", "test")}, **read_json(path)})
        return found

    @cached_property
    def differs(self) -> dict[tuple[str, str, str], list[str]]:
        """(backbone, recipe a, recipe b) → the factors in which the audit finds the two to differ."""
        return {
            (pair["a"]["backbone"], pair["a"]["recipe"], pair["b"]["recipe"]): [f["factor"] for f in pair["factors"]]
            for pair in self.audit
        }

    def _of(self, backbone: str, recipe: str) -> list[dict[str, Any]]:
        """The finished cells of a recipe."""
        return [
            cell
            for cell in self.cells
            if (cell["backbone"], cell["recipe"], cell["state"]) == (backbone, recipe, "done")
        ]

    def _measured(self, backbone: str, recipe: str) -> dict[str, str]:
        cells = self._of(backbone, recipe)
        return measured_facts([cell["training"] for cell in cells], [cell["seed"] for cell in cells]) if cells else {}

    def _values(self, backbone: str, recipe: str) -> dict[str, dict[str, dict[int, dict[str, float]]]]:
        found: dict[str, dict[str, dict[int, dict[str, float]]]] = {}
        for cell in self._of(backbone, recipe):
            for name in self.tests:
                kept = self._kept(cell["id"], self._entry(cell)["evaluations"][name])
                for measure in self.measures:
                    found.setdefault(name, {}).setdefault(measure, {})[cell["seed"]] = kept["values"][measure]
        return found

    def _entry(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        return next(
            entry for entry in self.index["cells"] if all(entry[k] == cell[k] for k in ("id", "recipe", "seed"))
        )

    def _kept(self, cell_id: str | None, key: str) -> dict[str, Any]:
        return read_json(self.store.evaluation(cell_id, key) / "values.json")  # type: ignore[no-any-return]

    def _cell(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        state, error = cell_state(self.store, entry, self.measures)
        folder = self.store.cell(entry["id"])
        summary = folder / "summary.json"
        curve, validation = _curves(folder / "log.jsonl")
        return {
            **{name: entry[name] for name in ("id", "backbone", "recipe", "seed")},
            "state": state,
            "error": error,
            "training": read_json(summary) if summary.exists() else None,
            "curve": curve,
            "validation": validation,
            **self._averaged(
                {name: means(self._kept(entry["id"], key), self.measures) for name, key in entry["evaluations"].items()}
                if state == "done"
                else {}
            ),
        }

    def _averaged(self, values: dict[str, dict[str, float]]) -> dict[str, Any]:
        """`values` (collection → measure → mean) and, of complete suites, `suites` (suite → measure → mean)."""
        suites: dict[str, dict[str, float]] = {}
        for measure in self.measures if values else ():
            for suite, mean in suite_means({name: found[measure] for name, found in values.items()}).items():
                suites.setdefault(suite, {})[measure] = mean
        return {"values": values, "suites": suites}

    def _backbone(self, backbone: Mapping[str, Any]) -> dict[str, Any]:
        trained: dict[str, Any] = next(
            (cell["training"] for cell in self.cells if cell["backbone"] == backbone["name"] and cell["training"]), {}
        )
        return {
            **{key: backbone[key] for key in ("name", "model")},
            "layers": trained.get("layers", backbone["layers"]),
            "parameters": trained.get("parameters"),
        }

    def _recipe(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe, with the steps that its epochs came to where that is known."""
        summary = next((c["training"] for c in self.cells if c["recipe"] == recipe["name"] and c["training"]), None)
        stages = []
        for number, stage in enumerate(recipe["stages"]):
            steps = stage["steps"] or (summary["stages"][number]["steps"] if summary else None)
            stages.append({**stage, "steps": steps})
        return {"name": recipe["name"], "stages": stages}

    def _warnings(self, kept: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        yield from leak_warnings(self.leaks)
        for search in self.index.get("leaks", ()):
            if not self.store.leaks(search["key"]).exists():
                yield f"{search['kind']} {search['name']}: not searched for leaks of {search['test']}"
        for name, found in kept.items():
            if found["missing"]:
                lost = f"{found['missing']} of {found['queries']} queries"
                yield f"{name}: the first stage finds nothing for {lost}; they count as 0"
        for cell in self.cells:
            label = f"{cell['backbone']} · {cell['recipe']} · seed {cell['seed']}"
            if cell["state"] == "failed":
                yield f"{label} failed: {cell['error']}"
            elif cell["state"] != "done":
                yield f"{label} is {cell['state']}; means and comparisons are without it"


def _curves(log: Path) -> tuple[list[list[float]], list[list[float]]]:
    """[step, loss] as means over at most `POINTS` equal stretches, and [step, value] of every validation."""
    records = read_log(log)
    steps = [(record["step"], record["loss"]) for record in records if record["kind"] == "step"]
    width = max(1, -(-len(steps) // POINTS))
    stretches = [steps[start : start + width] for start in range(0, len(steps), width)]
    curve = [[stretch[-1][0], sum(loss for _, loss in stretch) / len(stretch)] for stretch in stretches]
    return curve, [[record["step"], record["value"]] for record in records if record["kind"] == "validation"]
