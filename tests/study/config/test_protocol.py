"""The study files of arXiv 2603.03010, setting by setting, against its protocol as it was run: v1, and the later v2."""

from pathlib import Path
from typing import Any

import pytest

from limbeck.study.config.study import Study, load_study
from limbeck.study.plan.plan import learning_rate, lists_per_step

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
    "measures": {"AP", "RR@10", "nDCG@10"},
}
V2 = BOTH | {
    "tokens": {(256, None, 512), (512, None, 1024)},
    "single separator": {"roberta-base"},
    "splade tokens": 200,
    "validation measure": "nDCG",
    "with replacement": True,
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
        "measures": set(config.evaluation.measures),
    }  # fmt: skip


@pytest.mark.parametrize(("file", "protocol"), [("paper", V1), ("paper-rerun", V2)])
def test_a_study_file_says_what_the_paper_ran(file: str, protocol: dict[str, Any]) -> None:
    found = settings_of(load_study(STUDIES / f"{file}.yaml", with_files=False))
    assert {name: found[name] for name in protocol} == protocol
