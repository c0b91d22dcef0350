"""Measured means beside published ones: the same backbone, objective, training lists, collection and measure."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from scipy.stats import t as student

from limbeck.core.errors import plural
from limbeck.report.formats import ABSENT, number
from limbeck.report.latex import escape
from limbeck.report.paper.scores import LEVEL, Column, Score, Scores, hub_id, remark
from limbeck.study.analysis.results import Recipe

TABLES = ("2603.03010", "2405.07920", "ms-marco-cards")
"""Morand et al. 2026; Schlatt et al. 2025 (Rank-DistiLLM); model cards of sentence-transformers' MS MARCO models."""
_AVERAGES = ("In Domain", "BEIR13", "LoTTE-Search", "OOD (LoTTE x5 + Robust04)")
OWN_DOCUMENTS = {"beir/arguana", "beir/quora/test"}
"""Collections whose queries are documents too. The published figures of arXiv 2603.03010 keep these in the ranking."""
SEEDS = 3  # behind every published mean of arXiv 2603.03010
STEPS = 200_000  # of every training of arXiv 2603.03010


@dataclass(frozen=True)
class Published:
    """One published mean; `variance` over seeds (sample), None where it was not published or cannot be used.

    `vintage` tells the first runs (v1) of arXiv 2603.03010 from the later (v2), or names another paper.
    """

    backbone: str
    objective: str
    lists: str
    first_stage: str
    collection: str
    measure: str
    value: float
    variance: float | None
    vintage: str


@dataclass(frozen=True)
class Beside:
    """A measured score and its published counterpart; `backbone` is empty for the first stage alone.

    `steps` are those of the recipe where they are others than published; `own_documents` is whether queries' own
    documents are removed here and were kept there.
    """

    backbone: str
    recipe: str
    column: Column
    ours: Score
    theirs: Published
    steps: int | None = None
    own_documents: bool = False

    @property
    def difference(self) -> float:
        return (math.nan if self.ours.mean is None else self.ours.mean) - self.theirs.value

    @property
    def half(self) -> float | None:
        """Half the width of the difference's 95 % interval over seeds: Welch's; of ours alone without their variance.

        The queries are the same on both sides, so that only trainings are drawn. None with fewer than two seeds.
        """
        if self.ours.std is None:
            return None
        count = len(self.ours.values)
        own, other = self.ours.std**2 / count, (self.theirs.variance or 0.0) / SEEDS
        if not own + other:
            return 0.0
        freedom = (own + other) ** 2 / (own**2 / (count - 1) + other**2 / (SEEDS - 1))
        return float(student.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(own + other)


@cache
def published() -> tuple[Published, ...]:
    """Every published figure that limbeck carries."""
    return tuple(_read())


def beside_published(scores: Scores) -> tuple[list[Beside], list[str]]:
    """The pairs there are, and in words what has no counterpart, counted."""
    known = names()
    columns = {column.key: column for column in scores.collections}
    columns |= {key: column for key in ("in-domain", "beir13", "lotte-search", "ood") if (column := scores.suite(key))}
    models = {each.name: hub_id(each, scores.rehearsal) for each in scores.results.backbones}
    configurations = {
        (backbone, recipe.name): _configuration(models[backbone], recipe, known)
        for backbone in scores.backbones
        for recipe in scores.results.recipes
    }
    steps = {recipe.name: _other_steps(recipe, scores.rehearsal) for recipe in scores.results.recipes}
    found, reasons, matched = list[Beside](), Counter[str](), set[tuple[str, str]]()
    for theirs in published():
        column = columns.get(known["collections"].get(theirs.collection, ""))
        if not theirs.backbone:
            alone = _first_stage(scores, column, theirs, known)
            found += alone
            if not alone:
                reasons["of another first stage alone, or its collection or measure was not measured here"] += 1
            continue
        alike = [key for key, (backbones, *_) in configurations.items() if theirs.backbone in backbones]
        same = [key for key in alike if configurations[key][1] == theirs.objective]
        trained = [key for key in same if theirs.lists in configurations[key][2]]
        pairs = [
            Beside(*key, column, score, theirs, steps[key[1]] if theirs.vintage in ("v1", "v2") else None)
            for key in trained
            if column and (score := scores.score(*key, column, theirs.measure)).values
        ]
        found += pairs
        matched.update((pair.backbone, pair.recipe) for pair in pairs)
        if not pairs:
            reasons[
                "the backbone is not in the study" if not alike
                else "the objective was not trained here on that backbone" if not same
                else "trained on other lists" if not trained
                else "the collection or measure was not measured here"
            ] += 1  # fmt: skip
    removed = scores.results.own_document == "remove"
    found = [
        replace(pair, own_documents=True)
        if removed and pair.theirs.vintage in ("v1", "v2") and OWN_DOCUMENTS.intersection(pair.column.members)
        else pair
        for pair in found
    ]
    left = [f"{name} · {recipe}" for name, recipe in configurations if (name, recipe) not in matched]
    notes = [
        f"{plural(count, 'published figure')} without a counterpart: {reason}" for reason, count in reasons.items()
    ]
    untrained = {recipe.name for recipe in scores.results.recipes if not recipe.stages}
    if any(pair.recipe in untrained and pair.theirs.vintage in ("v1", "v2") for pair in found):
        notes.append(
            "a model of arXiv 2603.03010 that is tested as it is was the best of three seeds on the test sets, and "
            "should lie at or above the mean beside it"
        )
    first = scores.results.first_stage
    if found:
        depth = "" if scores.rehearsal else f"'s first {first.depth:,}"
        notes.insert(0, f"ours re-rank {first.name}{depth}")
    if left and found:
        notes.append(
            f"{len(left)} of {len(configurations)} configurations are in no published table: {', '.join(left)}"
        )
    return found, notes


def _configuration(
    model: str, recipe: Recipe, names: Mapping[str, Any]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Backbones, objective and lists as the tables name them, of a recipe or of a model that is tested as it is."""
    if recipe.stages:
        return tuple(names["backbones"].get(model, ())), *_trained(recipe, names)
    ready = names["models"].get(model)
    return ((ready["backbone"],), ready["objective"], (ready["lists"],)) if ready else ((), "", ())


def _trained(recipe: Recipe, names: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """A recipe's objective and lists as the tables name them; an LLM's order under RankNet is DistillRankNET there."""
    objectives = [stage.objective for stage in recipe.stages]
    if len(objectives) > 1:
        objectives = ["RankNet" if name == "DistillRankNET" else name for name in objectives]
    elif objectives == ["RankNet"]:
        objectives = ["DistillRankNET"]
    lists = ", then ".join(stage.lists for stage in recipe.stages)
    return ", then ".join(objectives), tuple(names["lists"].get(lists, ()))


def _other_steps(recipe: Recipe, rehearsal: bool) -> int | None:
    """The recipe's steps where they are not the published; every rehearsal's are few."""
    steps = recipe.stages[0].steps if len(recipe.stages) == 1 else None
    return None if rehearsal or steps == STEPS else steps


def _first_stage(scores: Scores, column: Column | None, theirs: Published, names: Mapping[str, Any]) -> list[Beside]:
    """The first stage alone, if it is the published one."""
    name = scores.results.first_stage.name
    value = scores.first_stage(column, theirs.measure) if column else None
    if column is None or value is None or names["first_stages"].get(name) != theirs.first_stage:
        return []
    return [Beside("", f"{name} alone", column, Score((value,), 1), theirs)]


def _read() -> Iterator[Published]:
    for table in TABLES:
        text = (files("limbeck.report") / "published" / f"{table}.csv").read_text(encoding="utf-8")
        for row in csv.DictReader(io.StringIO(text)):
            # v1 averaged the variances of a suite's collections, which is not the variance of their average.
            usable = row["variance"] and not (row["vintage"] == "v1" and row["collection"] in _AVERAGES)
            variance = float(row["variance"]) if usable else None
            figure: dict[str, Any] = {**row, "value": float(row["value"]), "variance": variance}
            yield Published(**figure)


@cache
def names() -> Any:
    """Which of our names stand for which names of the tables."""
    return yaml.safe_load((files("limbeck.report") / "published" / "names.yaml").read_text(encoding="utf-8"))


_COLLECTIONS = ("TREC DL19", "TREC DL20")
_BACKBONES = ("ELECTRA", "monoELECTRA-base")
_ORDERED = ("RankNet", "DistillRankNET", "ADR-MSE")
_MEASURE = "nDCG@10"


def rank_distillm_table(scores: Scores) -> str | None:
    """Means of recipes that end with an LLM's order, measured above published, ± standard deviation over seeds.

    None where no ELECTRA was trained so and tested on TREC-DL 2019 and 2020.
    """
    measured = list(_measured(scores))
    if not measured:
        return None
    stage = scores.results.first_stage.name
    lines = [_line(name, stage, values) for name, values in measured]
    caption = (
        f"{remark(scores)}ELECTRA under an LLM's order beside Rank-DistiLLM: {_MEASURE}, mean "
        r"$\pm$ standard deviation over seeds where there are several. Trainings and first stages differ as stated."
    )
    return "\n".join(
        [
            "% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs,textcomp}",
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", r"\begin{tabular}{llrr}", r"\toprule",
            r"Training & First stage & DL 19 & DL 20 \\", r"\midrule", *lines, r"\midrule",
            *(_line(name, stage, values) for (name, stage), values in _published().items()), r"\bottomrule",
            r"\end{tabular}", r"\end{table}", "",
        ]
    )  # fmt: skip


def _measured(scores: Scores) -> Iterator[tuple[str, list[str]]]:
    keys = [names()["collections"][name] for name in _COLLECTIONS]
    backbones = names()["backbones"]
    for backbone in scores.results.backbones:
        if _BACKBONES[0] not in backbones.get(hub_id(backbone, scores.rehearsal), ()):
            continue
        for recipe in scores.results.recipes:
            found = [scores.score(backbone.name, recipe.name, Column(key, (key,)), _MEASURE) for key in keys]
            if recipe.stages and recipe.stages[-1].objective in _ORDERED and all(score.values for score in found):
                yield recipe.name, [_text(score.mean, score.std) for score in found]


def _published() -> dict[tuple[str, str], list[str]]:
    """(training, first stage) → means on TREC-DL 2019 and 2020."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for each in published():
        ordered = each.objective.split(", then ")[-1] in _ORDERED
        if each.backbone in _BACKBONES and ordered and each.measure == _MEASURE:
            std = None if each.variance is None else each.variance**0.5
            training = f"{each.objective}, published ({each.vintage})", each.first_stage
            found.setdefault(training, {})[each.collection] = _text(each.value, std)
    return {training: [texts.get(name, ABSENT) for name in _COLLECTIONS] for training, texts in found.items()}


def _text(mean: float | None, std: float | None) -> str:
    return number(mean) + ("" if std is None else f" ± {number(std)}")


def _line(*cells: str | list[str]) -> str:
    texts = [text for cell in cells for text in ([cell] if isinstance(cell, str) else cell)]
    return " & ".join(map(escape, texts)) + r" \\"
