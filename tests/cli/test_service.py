"""A model on its way into service, as a user brings it there."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import read_run
from limbeck.serve import latency
from limbeck.workflow import Study

Limbeck = Callable[..., Result]


def test_a_model_is_calibrated_on_judged_candidates_and_ranks_as_before(
    here: Path, limbeck: Limbeck, as_json: Callable[..., Any]
) -> None:
    limbeck("retrieve", "bm25", "--collection", "mini/train", "--depth", 10, "--output", "bm25.run")
    options = ("--collection", "mini/train", "--run", "bm25.run")
    # Random weights may rank upside down; these, or their negative, do not.
    encoder = CrossEncoder.load("bert", device="cpu")
    if "do not rise" in limbeck("calibrate", "--model", "bert", *options, "--output", "x", code=None).output:
        encoder.model.classifier.weight.data.neg_()
    encoder.save("model")
    found = as_json("calibrate", "--model", "model", *options, "--output", "calibrated", "--threshold", 0.3)
    assert found["calibration"]["relevant"] > 0
    assert [each["threshold"] for each in found["calibration"]["precision"]] == [0.3]
    kept = json.loads(Path("calibrated/config.json").read_text())["limbeck"]["calibration"]
    assert kept["slope"] == found["calibration"]["platt"]["slope"] > 0
    for model in ("model", "calibrated"):
        limbeck("rerank", "--model", model, *options, "--output", f"{model}.run")
    before, after = read_run(Path("model.run")), read_run(Path("calibrated.run"))
    for query_id, ranking in before.items():
        assert after[query_id].docids == ranking.docids
        odds = kept["slope"] * np.array(ranking.scores) + kept["intercept"]
        np.testing.assert_allclose(after[query_id].scores, odds, atol=1e-4)
    again = as_json("calibrate", "--model", "calibrated", *options, "--output", "twice")["calibration"]
    np.testing.assert_allclose([again["platt"]["slope"], again["platt"]["intercept"]], [1, 0], atol=1e-3)
    assert (
        "is the model itself" in limbeck("calibrate", "--model", "model", *options, "--output", "model", code=2).stderr
    )


def test_a_studys_backbones_are_measured_and_its_numbers_go_to_report_and_tracker(
    here: Path, limbeck: Limbeck, as_json: Callable[..., Any]
) -> None:
    Study("tiny.yaml").run("out")
    options = ("--collection", "mini/test", "--passages", 2, "--passages", 5, "--threads", 1, "--seconds", 0.01)
    found = as_json("bench", "out", *options, "--form", "fp32")
    assert not found["left_out"]
    measured = {(row["form"], row["passages"]): row for row in found["measured"]}
    assert set(measured) == {("fp32", 2), ("fp32", 5)}
    for row in measured.values():
        assert row["model"] == "bert"
        assert 0 < row["p50_ms"] <= row["p95_ms"]
        assert row["queries"] >= 8
        assert row["pairs_per_second"] > 0
        assert 1 < row["peak_memory_mib"] < 10_000
        assert row["tokens_per_pair"] <= 24
        assert row["agreement"] is None
    told = limbeck("bench", "bert", *options, "--form", "fp32", "--passages", 99, code=2).stderr
    assert "retrieve deeper (--depth 99)" in told

    limbeck("study", "report", "out")
    results = json.loads(Path("out/report/results.json").read_text())
    assert results["latency"] == "5 passages, fp32, 1 thread"
    assert results["backbones"][0]["latency_ms"] == measured["fp32", 5]["p50_ms"]
    if find_spec("tensorboard") is None:
        assert "pip install tensorboard" in limbeck("study", "track", "out", "--to", "tensorboard", code=3).stderr
        return
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # once more is not twice as much
        counts = as_json("study", "track", "out", "--to", "tensorboard")
    assert counts == {"to": "tensorboard", "cells": 2, "records": 6, "without_log": 0}
    for cell in results["cells"]:
        events = EventAccumulator(f"out/tensorboard/{cell['id']}")
        events.Reload()
        assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
        [found] = events.Scalars("test/nDCG@10/mini/test")
        assert found.value == pytest.approx(cell["values"]["mini/test"]["nDCG@10"])


def test_a_bench_that_measured_nothing_fails_and_says_why(
    here: Path, limbeck: Limbeck, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = latency.LeftOut(model="bert", form="onnx", reason="no onnx here")
    monkeypatch.setattr(latency, "measure_latency", lambda *_: ([], [absent]))
    found = limbeck("bench", "bert", "--collection", "mini/test", "--passages", 2, "--form", "onnx", code=3)
    assert "nothing could be measured: bert · onnx: no onnx here" in found.stderr
