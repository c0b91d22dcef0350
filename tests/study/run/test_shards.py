"""What is divided among many nodes is, put together, what one would have made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.study.config.study import load_study
from limbeck.study.run import artifacts, build_graph, graph
from limbeck.study.run.execute import run_study

Write = Callable[..., Path]


def kept(output: Path, *patterns: str) -> dict[str, bytes]:
    return {str(path.relative_to(output)): path.read_bytes() for each in patterns for path in output.glob(each)}


def test_shards_of_encoding_teaching_and_re_ranking_give_what_one_node_gives(
    study_file: Write, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny["first_stages"] = {"dense": {"dense": {"model": "./bert", "max_length": 12}}}
    tiny["evaluation"]["first_stage"] = "dense"
    tiny["recipes"] = {"R": [{"objective": "RankNet", "lists": "taught", "steps": 3, "lists_per_step": 2}]}
    tiny["seeds"], tiny["compute"] = 1, {"flops_per_second": 1e9}
    del tiny["validation"], tiny["lists"]["judged"]
    study = study_file(tiny)
    for name in ("whole", "shards"):
        if name == "shards":
            monkeypatch.setattr(artifacts, "PAIRS_OF_SHARD", 20)
            monkeypatch.setattr(build_graph, "PAIRS_OF_SHARD", 20)
            monkeypatch.setattr(build_graph, "TEXTS_OF_SHARD", 10)
            monkeypatch.setattr("limbeck.retrieval.search.PART", 4)
            monkeypatch.setattr("limbeck.retrieval.search.with_total_progress", lambda items, *_: items)
        monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / f"cache-{name}"))
        assert run_study(load_study(study), tmp_path / name)["done"] == 1
    kinds = [node.kind for node in graph.read_graph(graph.Store(tmp_path / "shards")).nodes]
    assert {kind: kinds.count(kind) for kind in ("encode", "teach", "score")} == {"encode": 3, "teach": 3, "score": 2}
    hours = [graph.hours_by_kind(graph.read_graph(graph.Store(tmp_path / name))) for name in ("whole", "shards")]
    assert hours[0]["evaluate"][1] == pytest.approx(hours[1]["score"][1])
    patterns = ("shared/runs/*", "shared/lists/*", "cells/*/evaluations/*/run.gz", "cells/*/evaluations/*/values.json")
    whole, shards = kept(tmp_path / "whole", *patterns), kept(tmp_path / "shards", *patterns)
    assert whole == shards
    assert len(whole) >= 5
