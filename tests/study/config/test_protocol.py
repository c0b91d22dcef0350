"""The study files of arXiv 2603.03010, setting by setting, against its protocol as it was run: v1, and the later v2."""

import re
from pathlib import Path
from typing import Any

import pytest

from limbeck.study.config.study import Study, load_study
from limbeck.study.plan.plan import describe_cell, learning_rate, lists_per_step

STUDIES = Path(__file__).parents[3] / "studies"
BASE = ("bert-base", "roberta-base", "electra-base", "deberta-v3-base", "ettin-150m")
MINI = ("minilm-l12", "ettin-17m", "ettin-32m", "ettin-68m")
BOTH: dict[str, Any] = {
    "backbones": {*BASE, *MINI},
    "learning rates": {**dict.fromkeys(BASE, 1e-5), **dict.fromkeys(MINI, 7e-6)},
    "lists per step": {
        **dict.fromkeys(BASE, (32, 32, 32, 4, 1, 1)),
        **dict.fromkeys(MINI, (64, 64, 64, 8, 1, 1)),
    },
    "steps": {200_000},
    "order": ("shuffled", "shuffled", "file", "file", "file", "file"),
    "unretrieved positives are added": False,
    "optimizer": (5000, "linear", 1.0, 0.0),
    "seeds": 3,
    "own document": "keep",
    "relevance": 1,
    "validation": (13, 100, 5000, True),
    "depth": 1000,
}
V1 = BOTH | {
    "tokens": {*[(32, 256, 288)]},
    "single separator": set(),
    "splade tokens": 256,
    "validation measure": "RR@10",
    "with replacement": False,
    "a list for each positive": True,
    "precision": ("tf32", "tf32"),
    "measures": {"AP", "RR@10", "nDCG@10"},
}
V2 = BOTH | {
    "tokens": {(256, None, 512), (512, None, 1024)},
    "single separator": {"roberta-base"},
    "splade tokens": 200,
    "validation measure": "nDCG",
    "with replacement": True,
    "a list for each positive": False,
    "precision": ("bf16", "bf16"),
    "measures": {"Success@5", "nDCG@10", "nDCG@20", "RR@10"},
}


def settings_of(study: Study) -> dict[str, Any]:
    config = study.config
    stages = [stage for stages in config.recipes.values() for stage in stages]
    by_name = {stages[0].objective: stages[0] for stages in config.recipes.values()}
    ordered = [by_name[n] for n in ("BCE", "Hinge", "MarginMSE", "InfoNCE", "DistillRankNET", "ADR-MSE")]
    validation, splade = config.validation, config.first_stages["splade-v3-distilbert"].splade
    assert validation is not None
    assert splade is not None
    return {
        "backbones": set(config.backbones),
        "learning rates": {name: learning_rate(study, name, ordered[0]) for name in config.backbones},
        "lists per step": {
            name: tuple(lists_per_step(study, name, stage) for stage in ordered) for name in config.backbones
        },
        "steps": {stage.steps for stage in stages},
        "order": tuple(stage.order for stage in ordered),
        "unretrieved positives are added": config.lists[by_name["InfoNCE"].lists].add_positives,
        "optimizer": (
            config.optimizer.warmup, config.optimizer.schedule, config.optimizer.clip, config.optimizer.weight_decay,
        ),
        "seeds": len(config.seeds),
        "own document": config.collections.own_document,
        "relevance": config.collections.relevance,
        "validation": (len(validation.collections), validation.depth, validation.every, validation.best_so_far),
        "depth": config.evaluation.depth,
        "tokens": {(each.query_tokens, each.passage_tokens, each.pair_tokens) for each in config.backbones.values()},
        "single separator": {name for name, each in config.backbones.items() if each.single_separator},
        "splade tokens": splade.max_length,
        "validation measure": validation.measure,
        "with replacement": study.sources.sample(by_name["InfoNCE"].lists).replacement,
        "a list for each positive": study.sources.sample(by_name["InfoNCE"].lists).each_positive,
        "precision": (config.optimizer.precision, config.evaluation.precision),
        "measures": set(config.evaluation.measures),
    }  # fmt: skip


@pytest.mark.parametrize(("file", "protocol"), [("paper", V1), ("paper-rerun", V2)])
def test_a_study_file_says_what_the_paper_ran(file: str, protocol: dict[str, Any]) -> None:
    found = settings_of(load_study(STUDIES / f"{file}.yaml", with_files=False))
    assert {name: found[name] for name in protocol} == protocol


def found(text: str, *patterns: str) -> list[str]:
    """What stands in the groups of patterns, each of which must stand in the text."""
    groups: list[str] = []
    for pattern in patterns:
        match = re.search(pattern, text)
        assert match, f"PROTOCOL.md no longer says {pattern}"
        groups += match.groups()
    return groups


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_the_settings_above_are_those_that_the_protocol_states(shared_data: Path) -> None:
    protocol = shared_data.parent / "PROTOCOL.md"
    if not protocol.exists():
        pytest.skip("the protocol as it was collected is not here")
    text = protocol.read_text(encoding="utf-8").replace("**", "")
    query, passage, pair = found(text, r"query cut to (\d+) tokens and the passage to (\d+)", r"limit, (\d+)\) in all")
    longest = found(text, r"query cap = half of max length; max_length (\d+)")[0]
    base, mini = found(text, r"lr (\S+) \(base\) / (\S+) \(mini")
    warmup, steps = found(text, r"linear warm-up ([\d,]+) steps", r"= ([\d,]+) optimiser steps")
    clip, decay = found(text, r"gradient clipping at norm ([\d.]+)", r"AdamW, weight decay (\d)")
    splade = found(text, r"cut to (\d+) tokens in v1, (\d+) since")
    validated = found(text, r"top-(\d+) \(precomputed runs\); every 50 epochs = ([\d,]+) steps", r"all (\d+) sets")
    measures = found(text, r"tracked metric v1: (\S+), v2: (\w+)", r"\bv1 (AP, [^;]+); v2 ([^;]+);")
    triples = found(text, r"shuffled seed 123.*?\| (\d+) / (\d+) triples")
    lists = found(text, r"(\d+)//8=(\d) / (\d+)//8=(\d) queries")
    found(text, r"v1: one list for every retrieved positive, 7 negatives WITHOUT replacement; v2")
    found(text, r"negatives WITH replacement\. In both, queries whose positive was not retrieved are skipped")
    found(
        text,
        r"file order, the same for every seed, for MarginMSE, InfoNCE and the LLM lists; only the triples",
    )
    found(text, r"single separator, also for RoBERTa", r"batch forced to 1 query x 50 passages", r"Seeds: 3, seed_i")
    found(text, r"v1 fp32, with TF32 matrix products.*?v2 YAMLs set bf16-mixed", r"own document is not removed")
    found(text, r"binary measures \(RR, AP\) at relevance ≥ 1", r"averages each set's BEST-SO-FAR value", r"k=1000")
    assert V1["tokens"] == {(int(query), int(passage), int(pair))}
    assert (int(longest) // 2, None, int(longest)) in V2["tokens"]
    assert (V1["splade tokens"], V2["splade tokens"]) == tuple(map(int, splade))
    assert [V1["validation measure"], V2["validation measure"]] == measures[:2]
    assert [V1["measures"], V2["measures"]] == [set(each.split(", ")) for each in measures[2:]]
    assert BOTH["learning rates"] == {**dict.fromkeys(BASE, float(base)), **dict.fromkeys(MINI, float(mini))}
    assert BOTH["optimizer"] == (number(warmup), "linear", float(clip), float(decay))
    assert BOTH["steps"] == {number(steps)}
    assert BOTH["validation"][:3] == (int(validated[2]), int(validated[0]), number(validated[1]))
    of_triples, of_lists = tuple(map(int, triples)), (int(lists[1]), int(lists[3]))
    for names, place in ((BASE, 0), (MINI, 1)):
        expected = (of_triples[place],) * 3 + (of_lists[place], 1, 1)
        assert {BOTH["lists per step"][name] for name in names} == {expected}


def test_the_pilots_trainings_are_cells_of_the_paper() -> None:
    pilot, paper = (load_study(STUDIES / f"{name}.yaml", with_files=False) for name in ("pilot", "paper"))
    [backbone] = pilot.config.backbones
    assert set(pilot.config.seeds) < set(paper.config.seeds)
    for recipe in paper.config.recipes:
        here, there = (describe_cell(study, backbone, recipe, 1, contents=False).id for study in (pilot, paper))
        assert here == there
    assert {bound.recipe for bound in pilot.config.bounds} == set(paper.config.recipes)
