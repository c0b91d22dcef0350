"""Results of the paper's shape, as `gather` gives them: its published means, with noise."""

import itertools
from typing import Any

import numpy as np
import pytest

from limbeck.collections.collection import suites
from limbeck.evaluation import suite_means
from limbeck.report.paper.published import names, published
from limbeck.study.config.schema import known_backbones

LISTS = {"BCE": "triples", "Hinge": "triples", "MarginMSE": "ensemble", "InfoNCE": "colbert500"}


def paper_results(seeds: int = 3) -> dict[str, Any]:
    """9 backbones × 6 objectives × seeds on 22 collections; BEIR's and LoTTE's members scatter around their average."""
    random = np.random.default_rng(5)
    theirs_of, known = names(), known_backbones()
    models = {name: each.model for name, each in known.items() if each.model in theirs_of["backbones"]}
    models.pop("ettin-400m")
    recipes = ("BCE", "Hinge", "InfoNCE", "MarginMSE", "DistillRankNET", "ADR-MSE")
    main = {
        (p.backbone, p.objective, theirs_of["collections"][p.collection]): p.value
        for p in published()
        if p.measure == "nDCG@10" and p.lists in theirs_of["lists"][LISTS.get(p.objective, "rankzephyr")]
    }
    cells: list[dict[str, Any]] = []
    for (backbone, model), recipe, seed in itertools.product(models.items(), recipes, range(1, seeds + 1)):
        theirs = theirs_of["backbones"][model][0]
        values = {}
        for aggregate in (*suites()["in-domain"], "beir13", "lotte-search", *suites()["robust04"]):
            members = suites().get(aggregate, (aggregate,))
            offsets = np.linspace(-0.2, 0.2, len(members)) if len(members) > 1 else [0.0]
            noise = random.normal(0, 0.004, len(members))
            for member, offset, error in zip(members, offsets, noise, strict=True):
                values[member] = {"nDCG@10": main[theirs, recipe, aggregate] + float(offset) + float(error)}
        averages = suite_means({name: found["nDCG@10"] for name, found in values.items()})
        cells.append(
            {
                "id": f"{backbone}-{recipe}-{seed}", "backbone": backbone, "recipe": recipe, "seed": seed,
                "state": "done", "error": None,
                "training": {"measure": "nDCG@10", "best_value": averages["beir13"] + 0.1 + random.normal(0, 0.01)},
                "curve": [[step, 1 / (1 + step / 4e4) + random.normal(0, 0.02)] for step in range(2000, 200001, 4000)],
                "validation": [
                    [step, averages["beir13"] * (1 - np.exp(-step / 4e4))] for step in range(5000, 200001, 5000)
                ],
                "values": values,
                "suites": {name: {"nDCG@10": value} for name, value in averages.items()},
            }
        )  # fmt: skip
    first = {name: {"nDCG@10": 0.5} for name in cells[0]["values"]}
    return {
        "name": "paper", "rehearsal": False, "measures": ["nDCG@10"],
        "collections": [{"name": name, "documents": 1000, "queries": 50} for name in first],
        "first_stage": {
            "name": "splade-v3-distilbert", "depth": 1000, "values": first,
            "suites": {name: {"nDCG@10": 0.5} for name in cells[0]["suites"]},
        },
        "backbones": [{"name": n, "model": m, "layers": 12, "parameters": None} for n, m in models.items()],
        "recipes": [
            {"name": r, "stages": [{"objective": r, "lists": LISTS.get(r, "rankzephyr"), "steps": 200000}]}
            for r in recipes
        ],
        "cells": cells,
        "comparisons": [],
    }  # fmt: skip


@pytest.fixture(scope="session")
def paper() -> dict[str, Any]:
    return paper_results()
