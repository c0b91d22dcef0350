"""The suite for GPUs, as far as a CPU carries it: every part that wants no CUDA device runs, in tiny sizes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[2] / "benchmarks" / "gpu"


@pytest.mark.parametrize(
    ("script", "part"), [("check", "resume modernbert fp32, deterministic"), ("bench", "train minilm-l6 32 × 8")]
)
def test_every_part_of_the_suite_runs_or_says_what_it_wants(script: str, part: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SUITE / f"{script}.py", "--tiny", "--seconds", "1200", "--output", tmp_path],
        capture_output=True, text=True, check=False, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads((tmp_path / f"{script}.json").read_text())
    assert not found["failed"]
    assert part in found["passed"]
    assert found["skipped"]
    assert all(reason.startswith("wants ") and len(reason.splitlines()) == 1 for reason in found["skipped"].values())
