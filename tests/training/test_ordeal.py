"""Killed by SIGKILL, or on a full disk, at any moment: the same command ends with the same bytes.

The long version, with 500 kills and every size of disk:

    LIMBECK_TEST_KILLS=500 .venv/bin/python -m pytest tests/training/test_ordeal.py -s

A failure prints the seed; LIMBECK_TEST_SEED repeats it, as far as moments can be repeated.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KILLS = os.environ.get("LIMBECK_TEST_KILLS")
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.fixture(scope="module")
def found(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `ordeal.py` came to; without `fill` where this system lets no user mount a file system."""
    folder = tmp_path_factory.mktemp("ordeal")
    seed = os.environ.get("LIMBECK_TEST_SEED", str(random.SystemRandom().randrange(10**6)))
    try:
        can_mount = not subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        can_mount = False
    command = [sys.executable, Path(__file__).with_name("ordeal.py"), model, folder, KILLS or "5", seed]
    if can_mount:
        command = [*NAMESPACE, *command, "all" if KILLS else "few"]
    settings = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": os.pathsep.join(sys.path)}
    settings["LIMBECK_CACHE"] = str(folder / "cache")
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"LIMBECK_TEST_SEED={seed}: {done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"\nseed {seed}: {json.dumps(found, indent=1)}")
    return found


def test_killed_at_random_moments_a_training_ends_with_the_same_bytes(found: dict[str, Any]) -> None:
    assert sum(found["kill"]["kills"].values()) == int(KILLS or "5")


def test_a_full_disk_loses_nothing_that_was_complete_and_with_room_a_training_goes_on(found: dict[str, Any]) -> None:
    if "fill" not in found:
        pytest.skip("this system lets no user mount a small file system (unshare --user --map-root-user --mount)")
    assert set(found["fill"]["refused"]) >= {"step", "model", "summary.json"}
