"""The suite for GPUs, as far as a CPU carries it: every part that wants no CUDA device runs, in tiny sizes."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

SUITE = Path(__file__).parents[2] / "benchmarks" / "gpu"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of both scripts, run one after the other in this process, which has no GPU then."""
    folder = tmp_path_factory.mktemp("gpu-suite")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setenv("LIMBECK_CACHE", "")  # which each script sets
        patch.syspath_prepend(SUITE)
        for script in ("check", "bench"):
            words = [script, "--tiny", "--seconds", "1200", "--output", str(folder)]
            patch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(SUITE / f"{script}.py"), run_name="__main__")
            assert not ended.value.code, json.loads((folder / f"{script}.json").read_text())["failed"]
            del sys.modules["suite"]
    return folder


@pytest.mark.parametrize(
    ("script", "part"), [("check", "resume bert fp32, deterministic"), ("bench", "train bert-base 32 × 8")]
)
def test_every_part_of_the_suite_runs_or_says_what_it_wants(script: str, part: str, output: Path) -> None:
    found = json.loads((output / f"{script}.json").read_text())
    assert not found["failed"]
    assert part in found["passed"]
    assert found["skipped"]
    assert all(reason.startswith("wants ") and len(reason.splitlines()) == 1 for reason in found["skipped"].values())


def test_launches_and_bytes_are_counted_without_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ground on which weights in bf16 beside fp32 masters were left out: they spare launches, and no bytes."""
    monkeypatch.setattr(sys, "argv", ["count.py", "minilm-l6"])
    monkeypatch.syspath_prepend(SUITE)
    runpy.run_path(str(SUITE / "count.py"), run_name="__main__")
    del sys.modules["suite"]
    said = capsys.readouterr().out
    rows = {line[18:36].strip(): line[36:].split() for line in said.splitlines() if line.startswith("minilm-l6")}
    launches = {way: int(row[0].replace(",", "")) for way, row in rows.items()}
    moved = {way: float(row[1]) for way, row in rows.items()}
    assert launches["one qkv"] < launches["working weights"] < launches["autocast"] < 450
    assert moved["working weights"] == pytest.approx(moved["autocast"], rel=0.02)
