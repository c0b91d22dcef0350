"""Several processes, really started: their gradients, trainings, stops and resumptions are those of one.

That torchrun starts them is held by tests/cluster.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from limbeck.core.devices import Processes
from limbeck.core.errors import UsageError
from limbeck.tokens.batching import shares
from limbeck.training import Backbone, TrainingPlan, train
from limbeck.training.log import read_log

Started = Callable[..., str]
TRAINING = Path(__file__).parent


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Starts so many processes of a program beside this file: what they print."""
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    command = [sys.executable, str(TRAINING / "forks.py"), str(tmp_path_factory.mktemp("forks"))]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks:

        def start(count: int, program: str, *arguments: object) -> str:
            assert forks.stdin is not None
            assert forks.stdout is not None
            print(json.dumps([count, str(TRAINING / program), *map(str, arguments)]), file=forks.stdin, flush=True)
            codes, out, err = json.loads(forks.stdout.readline())
            assert codes == [0] * count, err
            return str(out)

        yield start


def test_several_processes_train_stop_and_resume_as_one_does(
    model: Path, plan: Callable[..., TrainingPlan], started: Started, tmp_path: Path
) -> None:
    def together(count: int) -> Any:
        return json.loads(started(count, "together.py", model, tmp_path).splitlines()[-1])

    alone = train(plan(backbone=Backbone(model=str(model), max_length=28, dropout=0.0)), tmp_path / "alone")
    two = together(2)
    assert two["trainings"] == ["stopped", "stopped"]
    for kind in ("whole", "sharded"):
        assert [path.name for path in (tmp_path / kind / "checkpoints").iterdir()][-1] == "step-000000005"
    three = together(3)
    assert three["trainings"] == ["finished", "finished"]
    for found in (two, three):
        assert found["whole"] < 1e-9
        assert found["sharded"] < 1e-5  # in float32
    saved = load_file(tmp_path / "alone" / "model" / "model.safetensors")
    expected = {name: tensor.shape for name, tensor in saved.items()}
    for kind in ("whole", "sharded"):
        summary = json.loads((tmp_path / kind / "summary.json").read_text())
        assert summary["processes"] == 3
        assert summary["best_step"] == alone["best_step"]
        for key in ("pairs", "tokens", "steps"):
            assert summary[key] == alone[key]
        logs = [[r for r in read_log(tmp_path / name / "log.jsonl") if r["kind"] == "step"] for name in ("alone", kind)]
        assert [r["step"] for r in logs[1]] == list(range(1, 12))
        losses = [[r["loss"] for r in log] for log in logs]
        # Not closer: where a gradient is all but 0, its last digits decide the sign of Adam's first steps.
        assert losses[1] == pytest.approx(losses[0], rel=1e-2)
        weights = load_file(tmp_path / kind / "model" / "model.safetensors")
        assert {name: tensor.shape for name, tensor in weights.items()} == expected


def test_processes_that_divided_weights_end_in_peace(started: Started) -> None:
    for _ in range(2):  # without waiting for gloo's threads two of three such starts abort
        started(4, "leaving.py")


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_shares_partition_the_pairs_and_differ_by_one_pair_s_tokens_at_most(processes: int) -> None:
    lengths = np.random.default_rng(processes).integers(5, 200, 41)
    dealt = shares(lengths, processes)
    assert sorted(np.concatenate(dealt)) == list(range(41))
    tokens = [int(lengths[share].sum()) for share in dealt]
    assert max(tokens) - min(tokens) <= lengths.max()


def test_more_processes_than_pairs_leave_some_without() -> None:
    assert [list(share) for share in shares([4, 9], 3)] == [[1], [0], []]


def test_a_world_size_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(UsageError, match="WORLD_SIZE is 'many'"):
        Processes.joined()
