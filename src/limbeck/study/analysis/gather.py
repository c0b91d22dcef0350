"""The results of a study, gathered from its output folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limbeck.collections import suites
from limbeck.evaluation import suite_means
from limbeck.study.analysis.comparisons import (
    Trained,
    compare_over_backbones,
    compare_recipes,
    compare_with_best,
    compare_with_first_stage,
)
from limbeck.study.analysis.factors import Table, analyse_cells, study_table
from limbeck.study.analysis.results import (
    Backbone,
    Bound,
    Cell,
    Curve,
    FirstStage,
    Means,
    OtherFirstStage,
    QueryCounts,
    Recipe,
    Stage,
    StudyResults,
    Teacher,
    TestCollection,
)
from limbeck.study.plan.audit import audit, measured_facts, terms
from limbeck.study.run.evaluations import means
from limbeck.study.run.leaks import FoundLeaks, LeakSearch, as_search, leak_warnings
from limbeck.study.run.status import cell_state, prefix_seconds
from limbeck.study.run.store import Store, read_json, read_record
from limbeck.training.log import read_log
from limbeck.training.summary import TrainingSummary

POINTS = 200  # of a loss curve

Kept = Mapping[str, Any]
"""What a `values.json` holds; see `limbeck.study.run.evaluations.evaluate`."""
Evaluated = dict[tuple[str, str], list[tuple[Cell, dict[str, Kept]]]]
"""Backbone and recipe → finished cells, each with its values by collection."""


def gather(output: str | Path) -> StudyResults:
    """All results there are so far in `output`: values, comparisons, audit, analysis of factors and warnings.

    A cell counts with what it has finished; one that failed or is missing is listed as such and has no values.

    Raises:
        MissingError: the folder holds no study, or nothing of it was run yet.
        DataError: a file in it is damaged.
    """
    return _Gathering(Store(output)).results()


def gather_table(output: str | Path) -> Table:
    """The figures of all finished cells of the study in `output`, with their values per query. Raises as `gather`."""
    found = _Gathering(Store(output))
    return study_table(found.recipes, found.cells, found.trained_by_first_stage)


@dataclass(frozen=True)
class _Gathering:
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

    def results(self) -> StudyResults:
        index, first = self.index, self.index["first_stage"]
        kept = {name: self._kept(None, key) for name, key in first["evaluations"].items()}
        values = {name: found["values"] for name, found in kept.items()}
        complete = {name: members for name, members in suites().items() if set(members) <= set(self.tests)}
        margin = index.get("margin")  # an older limbeck's study knows none
        audited = audit(self.facts)
        differs = {
            (pair.a.backbone, pair.a.recipe, pair.b.recipe): [difference.factor for difference in pair.factors]
            for pair in audited
        }
        primary = self.measures[0]
        comparisons, suite_comparisons = compare_with_first_stage(self.trained, values, self.measures, complete)
        return StudyResults(
            name=index["name"],
            limbeck_version=index["limbeck_version"],
            created=index["created"],
            rehearsal=index.get("rehearsal", False),
            measures=self.measures,
            margin=margin,
            output=str(self.store.folder),
            own_document=index.get("own_document", "remove"),  # an older limbeck's index does not say
            facts=self.facts,
            terms={backbone: terms(recipes) for backbone, recipes in self.facts.items()},
            leaks=tuple(self.leaks),
            seconds=round(
                prefix_seconds(self.store) + sum(self.store.state(cell.id).get("seconds", 0.0) for cell in self.cells),
                2,
            ),
            collections=tuple(
                TestCollection(name=each["name"], documents=each["documents"], queries=each["queries"])
                for each in index["collections"]
            ),
            first_stage=self._first_stage(first, kept),
            other_first_stages=tuple(self._other_first_stages(complete)),
            teachers=tuple(self._teacher(teacher) for teacher in index["teachers"]),
            backbones=tuple(self._backbone(backbone) for backbone in index["backbones"]),
            recipes=self.recipes,
            cells=self.cells,
            comparisons=comparisons,
            suite_comparisons=suite_comparisons,
            pairwise=compare_recipes(self.trained, self.tests, primary, differs, margin),
            over_backbones=compare_over_backbones(self.trained, self.tests, primary, differs, margin),
            audit=audited,
            factors=analyse_cells(self.recipes, self.cells, self.trained_by_first_stage, primary),
            bounds=tuple(self._bounds()),
            warnings=(*index["warnings"], *self._warnings(kept)),
            latency=self._latency[0],
            near_best=compare_with_best(self.trained, self.tests, primary, margin),
        )

    def _bounds(self) -> Iterator[Bound]:
        for bound in self.index.get("bounds", ()):  # an older limbeck's index has none
            for backbone in (
                [bound["backbone"]] if bound["backbone"] else [each["name"] for each in self.index["backbones"]]
            ):
                values = [
                    {**cell.values, **cell.suites}[bound["collection"]][bound["measure"]]
                    for cell, _ in self._done.get((backbone, bound["recipe"]), ())
                    if bound["collection"] in {**cell.values, **cell.suites}
                ]
                yield Bound(**{**bound, "backbone": backbone, "value": sum(values) / len(values) if values else None})

    @cached_property
    def _latency(self) -> tuple[str | None, dict[str, float]]:
        """What was measured, in words, and the median query's milliseconds by backbone.

        Of what `limbeck bench` kept: fp32, the most passages, and of numbers of threads the largest.
        """
        path = self.store.latency
        rows = [row for row in read_json(path)["measured"] if row["form"] == "fp32"] if path.exists() else []
        if not rows:
            return None, {}
        passages, threads = max((row["passages"], row["threads"] or 0) for row in rows)
        of_these = [row for row in rows if (row["passages"], row["threads"] or 0) == (passages, threads)]
        where = f"{threads} thread{'s' if threads > 1 else ''}" if threads else "GPU"
        return f"{passages} passages, fp32, {where}", {row["model"]: row["p50_ms"] for row in of_these}

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        return tuple(self._recipe(recipe) for recipe in self.index["recipes"])

    @cached_property
    def _evaluated(self) -> list[tuple[Cell, dict[str, Kept]]]:
        """Every cell, and its values by collection if it is done."""
        return [self._cell(entry) for entry in self.index["cells"]]

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for cell, _ in self._evaluated)

    @cached_property
    def _done(self) -> Evaluated:
        """On the study's own first stage."""
        found: Evaluated = {}
        for cell, kept in self._evaluated:
            if cell.state == "done":
                found.setdefault((cell.backbone, cell.recipe), []).append((cell, kept))
        return found

    @cached_property
    def trained(self) -> list[Trained]:
        return self._trained(self._done)

    def _trained(self, done: Evaluated) -> list[Trained]:
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
    def _on_others(self) -> dict[str, Evaluated]:
        """Of each other first stage, the cells that have re-ranked its candidates on all test collections."""
        found: dict[str, Evaluated] = {}
        for stage in self.index.get("other_first_stages", ()):  # an older limbeck's index has none
            done: Evaluated = {}
            for key, cells in self._done.items():
                for cell, _ in cells:
                    if kept := self._all_kept(cell.id, stage["cells"]):
                        done.setdefault(key, []).append((cell, kept))
            found[stage["name"]] = done
        return found

    @cached_property
    def trained_by_first_stage(self) -> dict[str, list[Trained]]:
        """First stage → the recipes with their values on its candidates; the study's own first."""
        others = {name: self._trained(done) for name, done in self._on_others.items() if done}
        return {self.index["first_stage"]["name"]: self.trained, **others}

    def _other_first_stages(self, suites: Mapping[str, Sequence[str]]) -> Iterator[OtherFirstStage]:
        for stage in self.index.get("other_first_stages", ()):
            kept = self._all_kept(None, stage["evaluations"])
            if kept is None:
                continue
            values = {name: found["values"] for name, found in kept.items()}
            done = self._on_others[stage["name"]]
            means = {cell.id: self._means(kept) for cells in done.values() for cell, kept in cells}
            trained = self._trained(done)
            single, whole = compare_with_first_stage(trained, values, self.measures, suites)
            yield OtherFirstStage(
                first_stage=self._first_stage(stage, kept),
                values=means,
                suites={cell: self._suites(of_cell) for cell, of_cell in means.items()},
                comparisons=single,
                suite_comparisons=whole,
            )

    @cached_property
    def facts(self) -> dict[str, dict[str, dict[str, str]]]:
        return {
            backbone: {recipe: {**stated, **self._measured(backbone, recipe)} for recipe, stated in recipes.items()}
            for backbone, recipes in self.index["facts"].items()
        }

    @cached_property
    def leaks(self) -> list[LeakSearch]:
        """What was searched for leaks so far."""
        found = []
        for search in self.index.get("leaks", ()):
            path = self.store.leaks(search["key"])
            if path.exists():
                found.append(as_search(search, read_record(path, FoundLeaks)))
        return found

    def _measured(self, backbone: str, recipe: str) -> dict[str, str]:
        cells = [cell for cell, _ in self._done.get((backbone, recipe), ())]
        summaries = [cell.training for cell in cells if cell.training]
        return measured_facts(summaries, [cell.seed for cell in cells]) if summaries else {}

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

    def _kept(self, cell_id: str | None, key: str) -> Kept:
        return read_json(self.store.evaluation(cell_id, key) / "values.json")  # type: ignore[no-any-return]

    def _all_kept(self, cell_id: str | None, keys: Mapping[str, str]) -> dict[str, Kept] | None:
        """The values on all test collections in all measures; None while some are to come."""
        if not all((self.store.evaluation(cell_id, key) / "values.json").exists() for key in keys.values()):
            return None
        kept = {name: self._kept(cell_id, key) for name, key in keys.items()}
        return kept if all(set(self.measures) <= set(found["values"]) for found in kept.values()) else None

    def _means(self, kept: Mapping[str, Kept]) -> Means:
        return {name: means(found, self.measures) for name, found in kept.items()}

    def _cell(self, entry: Mapping[str, Any]) -> tuple[Cell, dict[str, Kept]]:
        state, error = cell_state(self.store, entry, self.measures)
        folder = self.store.cell(entry["id"])
        summary = folder / "summary.json"
        curve, validation = training_curves(folder / "log.jsonl")
        evaluations = entry["evaluations"] if state == "done" else {}
        kept = {name: self._kept(entry["id"], key) for name, key in evaluations.items()}
        values = self._means(kept)
        cell = Cell(
            **{name: entry[name] for name in ("id", "backbone", "recipe", "seed")},
            state=state,
            error=error,
            training=read_record(summary, TrainingSummary) if summary.exists() else None,
            curve=curve,
            validation=validation,
            values=values,
            suites=self._suites(values),
        )
        return cell, kept

    def _first_stage(self, stage: Mapping[str, Any], kept: Mapping[str, Kept]) -> FirstStage:
        values = self._means(kept)
        return FirstStage(
            **{key: stage[key] for key in ("name", "description", "depth")},
            values=values,
            suites=self._suites(values),
            counts={
                name: QueryCounts(**{key: found[key] for key in ("queries", "scored", "missing", "short")})
                for name, found in kept.items()
            },
        )

    def _teacher(self, teacher: Mapping[str, Any]) -> Teacher:
        kept = {name: self._kept(None, key) for name, key in teacher["evaluations"].items()}
        return Teacher(name=teacher["name"], model=teacher["model"], values=self._means(kept))

    def _suites(self, values: Means) -> Means:
        """Complete suites → measure → mean over the members."""
        found: dict[str, dict[str, float]] = {}
        for measure in self.measures if values else ():
            for suite, mean in suite_means({name: of[measure] for name, of in values.items()}).items():
                found.setdefault(suite, {})[measure] = mean
        return found

    def _backbone(self, backbone: Mapping[str, Any]) -> Backbone:
        trained = next((c.training for c in self.cells if c.backbone == backbone["name"] and c.training), None)
        return Backbone(
            name=backbone["name"],
            model=backbone["model"],
            layers=trained.layers if trained else backbone["layers"],
            parameters=trained.parameters if trained else None,
            latency_ms=self._latency[1].get(backbone["name"]),
        )

    def _recipe(self, recipe: Mapping[str, Any]) -> Recipe:
        """The recipe, with the steps that its epochs came to where that is known."""
        summary = next((c.training for c in self.cells if c.recipe == recipe["name"] and c.training), None)
        stages = []
        for number, stage in enumerate(recipe["stages"]):
            steps = stage["steps"] or (summary.stages[number].steps if summary else None)
            stages.append(Stage(**{**stage, "steps": steps}))
        return Recipe(name=recipe["name"], stages=tuple(stages))

    def _warnings(self, kept: Mapping[str, Kept]) -> Iterator[str]:
        yield from leak_warnings(self.leaks)
        for search in self.index.get("leaks", ()):
            if not self.store.leaks(search["key"]).exists():
                yield f"{search['kind']} {search['name']}: not searched for leaks of {search['test']}"
        for name, found in kept.items():
            if found["missing"]:
                lost = f"{found['missing']} of {found['queries']} queries"
                yield f"{name}: the first stage finds nothing for {lost}; they count as 0"
        for cell in self.cells:
            label = f"{cell.backbone} · {cell.recipe} · seed {cell.seed}"
            if cell.state == "failed":
                yield f"{label} failed: {cell.error}"
            elif cell.state != "done":
                yield f"{label} is {cell.state}; means and comparisons are without it"


def training_curves(log: Path) -> tuple[Curve, Curve]:
    """The loss as means over at most `POINTS` equal stretches, and the value of every validation."""
    records = read_log(log)
    steps = [(record["step"], record["loss"]) for record in records if record["kind"] == "step"]
    width = max(1, -(-len(steps) // POINTS))
    stretches = [steps[start : start + width] for start in range(0, len(steps), width)]
    curve = tuple((stretch[-1][0], sum(loss for _, loss in stretch) / len(stretch)) for stretch in stretches)
    return curve, tuple((record["step"], record["value"]) for record in records if record["kind"] == "validation")
