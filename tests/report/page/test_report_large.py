"""A page as large as that of the published study; results as `gather` and `explore` give them, from a seed."""

import os
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from typed_results import answers

if TYPE_CHECKING:
    from playwright.sync_api import Page

BACKBONES = {
    "bert-base": 110e6, "electra-base": 110e6, "roberta-base": 125e6, "deberta-v3-base": 184e6,
    "modernbert-base": 149e6, "ettin-17m": 17e6, "ettin-68m": 68e6, "ettin-150m": 150e6, "minilm-l12": 33e6,
}  # fmt: skip
RECIPES = ("BCE", "InfoNCE", "MarginMSE", "RankNet", "ListNet", "ADR-MSE")
COLLECTIONS = tuple(f"collection-{number:02d}" for number in range(22))
MEASURES = ("nDCG@10", "RR@10", "AP", "Success@5")
SEEDS = (1, 2, 3)
STEPS = np.linspace(100, 20_000, 200).astype(int)


def large_results() -> dict[str, Any]:
    """9 backbones × 6 recipes × 3 seeds on 22 collections: 162 cells, every one done."""
    random = np.random.default_rng(3)
    cells, comparisons = [], []
    base = random.uniform(0.2, 0.7, len(COLLECTIONS))
    for place, (backbone, weights) in enumerate(BACKBONES.items()):
        for number, recipe in enumerate(RECIPES):
            effect = 0.03 + 0.012 * number + 0.02 * np.log10(weights / 1e7)
            values = base[None, :, None] + effect + random.normal(0, 0.01, (3, len(COLLECTIONS), len(MEASURES)))
            for seed, of_seed in zip(SEEDS, values, strict=True):
                cells.append(_cell(random, backbone, weights, recipe, seed, of_seed, place))
            comparisons += [
                _comparison(backbone, recipe, name, measure, values[:, c, m], float(base[c]))
                for c, name in enumerate(COLLECTIONS)
                for m, measure in enumerate(MEASURES)
            ]
    return {
        "name": "objectives-by-backbones",
        "limbeck_version": "0.1.0",
        "created": "2026-03-14T09:26:53+00:00",
        "output": "runs/large",
        "seconds": 5e5,
        "measures": list(MEASURES),
        "collections": [{"name": name, "documents": 1_000_000, "queries": 300} for name in COLLECTIONS],
        "first_stage": {
            "name": "splade", "description": "SPLADE", "depth": 100, "counts": {}, "suites": {},
            "values": {name: dict.fromkeys(MEASURES, float(base[c])) for c, name in enumerate(COLLECTIONS)},
        },
        "teachers": [],
        "backbones": [
            {"name": name, "model": f"hub/{name}", "layers": 12, "parameters": int(n)} for name, n in BACKBONES.items()
        ],
        "recipes": [{"name": name, "stages": [_stage(name)]} for name in RECIPES],
        "cells": cells,
        "comparisons": comparisons,
        "suite_comparisons": [],
        "pairwise": [
            _pair(random, name, backbone, a, b)
            for name in COLLECTIONS for backbone in BACKBONES for a, b in combinations(RECIPES, 2)
        ],
        "over_backbones": [_claim(a, b) for a, b in combinations(RECIPES, 2)],
        "audit": [
            {"a": {"backbone": name, "recipe": a}, "b": {"backbone": name, "recipe": b}, "factors": []}
            for name in BACKBONES for a, b in combinations(RECIPES, 2)
        ],
        "factors": {"absent": "not computed here"},
        "warnings": [],
    }  # fmt: skip


def large_queries(per_collection: int = 18) -> dict[str, Any]:
    """Rankings of the first stage and one seed of all 54 recipes: 10 of 30 passages of 500 letters a query."""
    random = np.random.default_rng(4)
    letters = random.choice(list("aeioulnrst"), (6000, 6))
    words = np.array(["".join(word[: 2 + place % 5]) for place, word in enumerate(letters)])
    text = " ".join(words[random.integers(0, 6000, 200_000)])
    systems: list[dict[str, Any]] = [{"kind": "first stage", "name": "splade", "backbone": None, "seed": None}]
    systems += [
        {"kind": "recipe", "name": recipe, "backbone": backbone, "seed": 1}
        for backbone in BACKBONES for recipe in RECIPES
    ]  # fmt: skip

    def draw(length: int) -> str:
        start = int(random.integers(0, len(text) - length))
        return text[start : start + length]

    def query(name: str) -> dict[str, Any]:
        return {
            "id": name,
            "text": draw(50),
            "values": random.uniform(0, 1, len(systems)).round(4).tolist(),
            "rankings": [random.permutation(30)[:10].tolist() for _ in systems],
            "documents": [
                {
                    "id": f"{name}-d{n}",
                    "grade": [0, 1, 2, None][n % 4],
                    "text": draw(500),
                }
                for n in range(30)
            ],
        }

    return {
        "measure": "nDCG@10",
        "shown": 10,
        "systems": systems,
        "collections": [
            {"name": name, "total": 300, "queries": [query(f"{name}-q{n}") for n in range(per_collection)]}
            for name in COLLECTIONS
        ],
        "warnings": [],
    }


def _cell(
    random: np.random.Generator, backbone: str, weights: float, recipe: str, seed: int, values: Any, place: int
) -> dict[str, Any]:
    loss = (0.4 + np.exp(-STEPS / 4000)) * random.normal(1, 0.1, len(STEPS))
    return {
        "id": f"{backbone}-{recipe}-{seed}",
        "backbone": backbone,
        "recipe": recipe,
        "seed": seed,
        "state": "done",
        "error": None,
        "training": {
            "steps": 20_000, "best_step": 18_000, "measure": "nDCG@10", "pairs": 640_000, "tokens": 90_000_000 + place,
            "seconds": float(2000 * weights / 1e8 * random.uniform(0.9, 1.1)), "parameters": int(weights),
        },
        "curve": [[int(step), float(value)] for step, value in zip(STEPS, loss, strict=True)],
        "validation": [[int(step), float(0.5 + 0.1 * (1 - np.exp(-step / 3000)))] for step in STEPS[::20]],
        "values": {
            name: dict(zip(MEASURES, map(float, values[c]), strict=True)) for c, name in enumerate(COLLECTIONS)
        },
        "suites": {},
    }  # fmt: skip


def _comparison(backbone: str, recipe: str, collection: str, measure: str, seeds: Any, first: float) -> dict[str, Any]:
    difference = float(seeds.mean()) - first
    p = float(min(1.0, np.exp(-abs(difference) / 0.01)))
    return {
        "backbone": backbone, "recipe": recipe, "collection": collection, "measure": measure,
        "seeds": seeds.tolist(), "mean": float(seeds.mean()), "std": float(seeds.std(ddof=1)), "first_stage": first,
        "difference": difference, "randomisation_p": p,
        **answers(p, p, interval=[difference - 0.02, difference + 0.02]),
        "queries": 300, "wins": 150, "ties": 50, "losses": 100,
    }  # fmt: skip


def _pair(random: np.random.Generator, collection: str, backbone: str, a: str, b: str) -> dict[str, Any]:
    difference = float(random.normal(0, 0.02))
    p = float(min(1.0, np.exp(-abs(difference) / 0.01)))
    return {
        "collection": collection, "measure": "nDCG@10", "difference": difference,
        "a": {"backbone": backbone, "recipe": a}, "b": {"backbone": backbone, "recipe": b},
        **answers(p, p, interval=[difference - 0.02, difference + 0.02]), "differs": ["signal", "negatives"],
    }  # fmt: skip


def _claim(a: str, b: str) -> dict[str, Any]:
    difference = 0.012 * (RECIPES.index(a) - RECIPES.index(b))
    return {
        "a": a, "b": b, "measure": "nDCG@10", "backbones": list(BACKBONES), "ahead": [],
        "behind": list(BACKBONES), "difference": difference,
        **answers(0.001, 0.002, interval=[difference - 0.004, difference + 0.004]),
        "collections_ci": [difference - 0.01, difference + 0.01],
        "differs": [],
    }  # fmt: skip


def _stage(recipe: str) -> dict[str, Any]:
    return {
        "objective": recipe, "lists": "colbert", "signal": "labels", "sample": "positives=1, negatives=7",
        "steps": 20_000, "lists_per_step": 4, "learning_rate": 1e-5,
    }  # fmt: skip


def test_162_cells_on_22_collections_fit_one_page(open_page: "Callable[..., Page]", tmp_path: Path) -> None:
    results = large_results()
    assert (len(results["cells"]), len(results["collections"])) == (162, 22)
    page = open_page(results, large_queries())
    assert os.stat(tmp_path / "report.html").st_size < 8e6
    assert page.evaluate("() => document.documentElement.dataset.ready")
    assert page.locator("#main-table tbody tr").count() == 55
    assert page.locator("#pairs-table tbody tr").count() == 25
    page.locator("#explorer").scroll_into_view_if_needed()
    page.wait_for_selector("#explorer-list[data-ready]")
    page.locator("#explorer-choices select").nth(2).select_option(label="collection-07")
    assert page.locator("#explorer-list button").count() == 18
