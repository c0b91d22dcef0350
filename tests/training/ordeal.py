"""Trainings in processes of their own that are killed, or whose disk is full, at many moments. Run by test_ordeal.py.

    ordeal.py MODEL FOLDER KILLS SEED [few|all disks]

The processes are forks of this one, which has imported everything, so that each begins at once. One thread, in the
uninterrupted training too: sums differ in their last digits between numbers of threads.
"""

import collections
import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from limbeck.core.errors import MissingError
from limbeck.training import TrainingPlan, train
from limbeck.training.checkpoint import read_checkpoint
from limbeck.training.log import TIME_FIELDS, read_log

spec = spec_from_file_location("training_conftest", Path(__file__).with_name("conftest.py"))
assert spec is not None
assert spec.loader is not None
conftest = module_from_spec(spec)
spec.loader.exec_module(conftest)

LIMIT = 300.0  # seconds that one process may take
CPU = torch.device("cpu")
WRITTEN = ("checkpoints/.step-*", "checkpoints/.step-*/*", ".model.*", "summary.json")
PAGE = 4096  # bytes; what a file system in memory counts in


def main() -> None:
    """Run the ordeals that are asked for and print what they came to."""
    model, folder, kills, seed, *disks = sys.argv[1:]
    plan = make_plan(Path(model))
    conftest.warm(plan)
    gc.collect()
    gc.freeze()  # else the forks look through all that is imported, and so copy it
    reference = Path(folder) / "reference"
    began = time.monotonic()
    status = ended(begin(plan, reference, Path(folder) / "reference-cache"))
    assert status == 0, f"the uninterrupted training ended with {status}"
    whole = time.monotonic() - began
    found = {"kill": kill(plan, reference, Path(folder), int(kills), random.Random(int(seed)), whole)}
    if disks:
        found["fill"] = fill(plan, reference, Path(folder), disks == ["all"])
    print(json.dumps(found))


def kill(
    plan: TrainingPlan, reference: Path, folder: Path, count: int, draw: random.Random, whole: float
) -> dict[str, Any]:
    """Kill trainings at random moments, `count` times in all; every one that reaches its end must be the reference."""
    moments: collections.Counter[str] = collections.Counter()
    trainings = 0
    while moments.total() < count:
        output, cache = folder / f"training-{trainings}", folder / f"cache-{trainings}"
        while True:
            before = hidden(output, cache)
            child = begin(plan, output, cache)
            if moments.total() < count:
                wait(child, output, draw, whole)
                os.kill(child, signal.SIGKILL)
            status = ended(child)
            if status == 0:
                break
            assert status == -signal.SIGKILL, f"a resumed training ended with {status}"
            moments[moment(output, hidden(output, cache) - before)] += 1
        expect_equal(output, reference)
        trainings += 1
    return {"trainings": trainings, "kills": moments}


def wait(child: int, output: Path, draw: random.Random, whole: float) -> None:
    """Wait for a moment: any at all, or soon after a process has begun to write something."""
    pattern = draw.choice([None, None, *WRITTEN])
    if pattern is None:
        time.sleep(draw.uniform(0, 0.8) * whole)
        return
    before = there(output, pattern)
    while there(output, pattern) <= before:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.0002)
    time.sleep(draw.uniform(0, 0.01))


def there(output: Path, pattern: str) -> set[Path]:
    """What is there of a pattern; nothing, if a folder goes while it is looked through."""
    try:
        return set(output.glob(pattern))
    except FileNotFoundError:
        return set()


def hidden(*folders: Path) -> set[tuple[Path, int]]:
    """What is being written aside, or was when a process was killed; each once, whatever its name."""
    return {(path, path.stat().st_ino) for folder in folders for path in folder.rglob(".*") if path.suffix != ".lock"}


def moment(output: Path, left: set[tuple[Path, int]]) -> str:
    """What a process was at when it was killed, from what it left behind."""
    names = [path.name for path, _ in left]
    for what, trace in (
        ("while it wrote a checkpoint", any(name.startswith(".step-") for name in names)),
        ("while it wrote the model", any(name.startswith(".model.") for name in names)),
        ("while it wrote something else", bool(names)),
        ("behind the summary, while it cleared away", (output / "summary.json").exists()),
        ("behind the model, before the summary", (output / "model").exists()),
        ("in a step or validation, behind a checkpoint", any(output.glob("checkpoints/step-*"))),
        ("in a step or validation, before a checkpoint", (output / "log.jsonl").exists()),
    ):
        if trace:
            return what
    return "while it began"


def fill(plan: TrainingPlan, reference: Path, folder: Path, every_size: bool) -> dict[str, Any]:
    """Train on disks too small; then, with room, the same call must go on and end as the reference.

    Two checkpoints and the one being written take more than the model; so what comes after them is only refused to a
    training without checkpoints, on a disk that misses the last pages of all that it leaves.

    Needs a mount namespace of its own: `unshare --user --map-root-user --mount`.
    """
    bare = replace(plan, settings=replace(plan.settings, checkpoint_every=1000))
    enough = sum(-(-path.stat().st_size // PAGE) for path in reference.rglob("*") if path.is_file())
    cases = [(plan, pages) for pages in (range(1, 81) if every_size else (1, 45))]
    cases += [(bare, pages) for pages in (range(1, enough + 1) if every_size else (enough - 3, enough - 1, enough))]
    refused: collections.Counter[str] = collections.Counter()
    for number, (case, pages) in enumerate(cases):
        disk = folder / f"disk-{number}"
        disk.mkdir()
        mount(disk, f"size={pages * PAGE}")
        output, said = disk / "training", folder / f"said-{number}"
        status = ended(begin(case, output, folder / "fill-cache", said))
        if status:
            assert status == MissingError.exit_code, f"{pages} pages: exit {status}: {said.read_text()}"
            error = said.read_text().splitlines()[-1]
            assert ": cannot be written: " in error, error
            assert "No space left on device" in error, error
            path, _, _ = error.partition(":")
            refused[Path(path).relative_to(output).parts[-1].partition("-")[0]] += 1
            steps = [read_checkpoint(path, CPU).state["step"] for path in output.glob("checkpoints/step-*")]
            assert not list(output.glob("checkpoints/.*")), "half a checkpoint takes up the room that is missing"
            mount(disk, "remount,size=8m")
            status = ended(begin(case, output, folder / "fill-cache", said))
            assert status == 0, f"{pages} pages, then enough: exit {status}: {said.read_text()}"
            assert not steps or f"resumed at step {max(steps)} of" in said.read_text(), said.read_text()
        expect_equal(output, reference)
        subprocess.run(["umount", disk], check=True)
    return {"disks": len(cases), "refused": refused}


def mount(disk: Path, options: str) -> None:
    """A file system in memory with its own size, or another size for the one that is there."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)


def begin(plan: TrainingPlan, output: Path, cache: Path, said: Path | None = None) -> int:
    """Start a training in a process of its own, which ends with the error's exit code; what it says goes to `said`."""
    from rich.console import Console

    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.environ["LIMBECK_CACHE"] = str(cache)
        with open(said or os.devnull, "w") as stream:
            try:
                train(plan, output, Console(file=stream, width=1000))
                status = 0
            except MissingError as error:
                stream.write(str(error))
                status = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(child: int) -> int:
    """Wait for a process, and its exit code; below 0 the signal that ended it."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    raise TimeoutError(f"a training hangs: more than {LIMIT} s")


def expect_equal(output: Path, reference: Path) -> None:
    """Files, bytes and records of two finished trainings are the same, times apart."""

    def files(folder: Path) -> list[str]:
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))

    def timeless(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{key: value for key, value in record.items() if key not in TIME_FIELDS} for record in records]

    def records(folder: Path) -> Iterator[dict[str, Any]]:
        yield json.loads((folder / "summary.json").read_text())
        yield from read_log(folder / "log.jsonl")

    assert files(output) == files(reference), f"{output}: {files(output)}, expected {files(reference)}"
    for path in (reference / "model").iterdir():
        assert (output / "model" / path.name).read_bytes() == path.read_bytes(), f"{output}: {path.name} differs"
    assert timeless(list(records(output))) == timeless(list(records(reference))), f"{output}: log or summary differs"


def make_plan(model: Path) -> TrainingPlan:
    """The small plan of these tests, with a checkpoint every step."""
    plan: TrainingPlan = conftest.make_plan(model)
    return replace(plan, settings=replace(plan.settings, checkpoint_every=1))


if __name__ == "__main__":
    main()
