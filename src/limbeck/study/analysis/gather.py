"""The results of a study, gathered from its output folder."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limbeck.collections import suites
from limbeck.study.analysis.comparisons import (
    compare_over_backbones,
    compare_recipes,
    compare_with_best,
    compare_with_first_stage,
)
from limbeck.study.analysis.factors import Table, analyse_cells, study_table
from limbeck.study.analysis.results import (
    Backbone,
    Bound,
    FirstStage,
    OtherFirstStage,
    QueryCounts,
    Recipe,
    Stage,
    StudyResults,
    Teacher,
    TestCollection,
)
from limbeck.study.analysis.values import Kept, StudyValues
from limbeck.study.plan.audit import audit, measured_facts, terms
from limbeck.study.run.leaks import FoundLeaks, LeakSearch, as_search, leak_warnings
from limbeck.study.run.status import prefix_seconds
from limbeck.study.run.store import Store, read_json, read_record


def gather(output: str | Path) -> StudyResults:
    """All results there are so far in `output`: values, comparisons, audit, analysis of factors and warnings.

    A cell counts with what it has finished; one that failed or is missing is listed as such and has no values.

    Raises:
        MissingError: the folder holds no study, or nothing of it was run yet.
        DataError: a file in it is damaged.
    """
    return _Gathering(StudyValues(Store(output))).results()


def gather_table(output: str | Path) -> Table:
    """The figures of all finished cells of the study in `output`, with their values per query. Raises as `gather`."""
    found = StudyValues(Store(output))
    return study_table(_Gathering(found).recipes, found.cells, found.trained_by_first_stage)


@dataclass(frozen=True)
class _Gathering:
    of: StudyValues

    def results(self) -> StudyResults:
        index, first = self.of.index, self.of.index["first_stage"]
        kept = {name: self.of.kept(None, key) for name, key in first["evaluations"].items()}
        values = {name: found["values"] for name, found in kept.items()}
        complete = {name: members for name, members in suites().items() if set(members) <= set(self.of.tests)}
        margin = index.get("margin")  # an older limbeck's study knows none
        audited = audit(self.facts)
        differs = {
            (pair.a.backbone, pair.a.recipe, pair.b.recipe): [difference.factor for difference in pair.factors]
            for pair in audited
        }
        primary = self.of.measures[0]
        comparisons, suite_comparisons = compare_with_first_stage(self.of.trained, values, self.of.measures, complete)
        return StudyResults(
            name=index["name"],
            limbeck_version=index["limbeck_version"],
            created=index["created"],
            rehearsal=index.get("rehearsal", False),
            measures=self.of.measures,
            margin=margin,
            output=str(self.of.store.folder),
            own_document=index.get("own_document", "remove"),  # an older limbeck's index does not say
            facts=self.facts,
            terms={backbone: terms(recipes) for backbone, recipes in self.facts.items()},
            leaks=tuple(self.leaks),
            seconds=round(prefix_seconds(self.of.store) + self.of.seconds, 2),
            collections=tuple(
                TestCollection(name=each["name"], documents=each["documents"], queries=each["queries"])
                for each in index["collections"]
            ),
            first_stage=self._first_stage(first, kept),
            other_first_stages=tuple(self._other_first_stages(complete)),
            teachers=tuple(self._teacher(teacher) for teacher in index["teachers"]),
            backbones=tuple(self._backbone(backbone) for backbone in index["backbones"]),
            recipes=self.recipes,
            cells=self.of.cells,
            comparisons=comparisons,
            suite_comparisons=suite_comparisons,
            pairwise=compare_recipes(self.of.trained, self.of.tests, primary, differs, margin),
            over_backbones=compare_over_backbones(self.of.trained, self.of.tests, primary, differs, margin),
            audit=audited,
            factors=analyse_cells(self.recipes, self.of.cells, self.of.trained_by_first_stage, primary),
            bounds=tuple(self._bounds()),
            warnings=(*index["warnings"], *self._warnings(kept)),
            latency=self._latency[0],
            near_best=compare_with_best(self.of.trained, self.of.tests, primary, margin),
        )

    def _bounds(self) -> Iterator[Bound]:
        for bound in self.of.index.get("bounds", ()):  # an older limbeck's index has none
            for backbone in (
                [bound["backbone"]] if bound["backbone"] else [each["name"] for each in self.of.index["backbones"]]
            ):
                values = [
                    {**cell.values, **cell.suites}[bound["collection"]][bound["measure"]]
                    for cell, _ in self.of.done.get((backbone, bound["recipe"]), ())
                    if bound["collection"] in {**cell.values, **cell.suites}
                ]
                yield Bound(**{**bound, "backbone": backbone, "value": sum(values) / len(values) if values else None})

    @cached_property
    def _latency(self) -> tuple[str | None, dict[str, float]]:
        """What was measured, in words, and the median query's milliseconds by backbone.

        Of what `limbeck bench` kept: fp32, the most passages, and of numbers of threads the largest.
        """
        path = self.of.store.latency
        rows = [row for row in read_json(path)["measured"] if row["form"] == "fp32"] if path.exists() else []
        if not rows:
            return None, {}
        passages, threads = max((row["passages"], row["threads"] or 0) for row in rows)
        of_these = [row for row in rows if (row["passages"], row["threads"] or 0) == (passages, threads)]
        where = f"{threads} thread{'s' if threads > 1 else ''}" if threads else "GPU"
        return f"{passages} passages, fp32, {where}", {row["model"]: row["p50_ms"] for row in of_these}

    @cached_property
    def recipes(self) -> tuple[Recipe, ...]:
        return tuple(self._recipe(recipe) for recipe in self.of.index["recipes"])

    def _other_first_stages(self, suites: Mapping[str, Sequence[str]]) -> Iterator[OtherFirstStage]:
        for stage in self.of.index.get("other_first_stages", ()):
            kept = self.of.all_kept(None, stage["evaluations"])
            if kept is None:
                continue
            values = {name: found["values"] for name, found in kept.items()}
            done = self.of.on_others[stage["name"]]
            means = {cell.id: self.of.means(kept) for cells in done.values() for cell, kept in cells}
            trained = self.of.trained_on(done)
            single, whole = compare_with_first_stage(trained, values, self.of.measures, suites)
            yield OtherFirstStage(
                first_stage=self._first_stage(stage, kept),
                values=means,
                suites={cell: self.of.suites(of_cell) for cell, of_cell in means.items()},
                comparisons=single,
                suite_comparisons=whole,
            )

    @cached_property
    def facts(self) -> dict[str, dict[str, dict[str, str]]]:
        return {
            backbone: {recipe: {**stated, **self._measured(backbone, recipe)} for recipe, stated in recipes.items()}
            for backbone, recipes in self.of.index["facts"].items()
        }

    @cached_property
    def leaks(self) -> list[LeakSearch]:
        """What was searched for leaks so far."""
        found = []
        for search in self.of.index.get("leaks", ()):
            path = self.of.store.leaks(search["key"])
            if path.exists():
                found.append(as_search(search, read_record(path, FoundLeaks)))
        return found

    def _measured(self, backbone: str, recipe: str) -> dict[str, str]:
        cells = [cell for cell, _ in self.of.done.get((backbone, recipe), ())]
        summaries = [cell.training for cell in cells if cell.training]
        return measured_facts(summaries, [cell.seed for cell in cells]) if summaries else {}

    def _first_stage(self, stage: Mapping[str, Any], kept: Mapping[str, Kept]) -> FirstStage:
        values = self.of.means(kept)
        return FirstStage(
            **{key: stage[key] for key in ("name", "description", "depth")},
            values=values,
            suites=self.of.suites(values),
            counts={
                name: QueryCounts(**{key: found[key] for key in ("queries", "scored", "missing", "short")})
                for name, found in kept.items()
            },
        )

    def _teacher(self, teacher: Mapping[str, Any]) -> Teacher:
        kept = {name: self.of.kept(None, key) for name, key in teacher["evaluations"].items()}
        return Teacher(name=teacher["name"], model=teacher["model"], values=self.of.means(kept))

    def _backbone(self, backbone: Mapping[str, Any]) -> Backbone:
        trained = next((c.training for c in self.of.cells if c.backbone == backbone["name"] and c.training), None)
        return Backbone(
            name=backbone["name"],
            model=backbone["model"],
            layers=trained.layers if trained else backbone["layers"],
            parameters=trained.parameters if trained else None,
            latency_ms=self._latency[1].get(backbone["name"]),
        )

    def _recipe(self, recipe: Mapping[str, Any]) -> Recipe:
        """The recipe, with the steps that its epochs came to where that is known."""
        summary = next((c.training for c in self.of.cells if c.recipe == recipe["name"] and c.training), None)
        stages = []
        for number, stage in enumerate(recipe["stages"]):
            steps = stage["steps"] or (summary.stages[number].steps if summary else None)
            stages.append(Stage(**{**stage, "steps": steps}))
        return Recipe(name=recipe["name"], stages=tuple(stages))

    def _warnings(self, kept: Mapping[str, Kept]) -> Iterator[str]:
        yield from leak_warnings(self.leaks)
        for search in self.of.index.get("leaks", ()):
            if not self.of.store.leaks(search["key"]).exists():
                yield f"{search['kind']} {search['name']}: not searched for leaks of {search['test']}"
        for name, found in kept.items():
            if found["missing"]:
                lost = f"{found['missing']} of {found['queries']} queries"
                yield f"{name}: the first stage finds nothing for {lost}; they count as 0"
        for cell in self.of.cells:
            label = f"{cell.backbone} · {cell.recipe} · seed {cell.seed}"
            if cell.state == "failed":
                yield f"{label} failed: {cell.error}"
            elif cell.state != "done":
                yield f"{label} is {cell.state}; means and comparisons are without it"
