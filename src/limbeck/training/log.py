"""Where the numbers of a training go: JSON lines beside the model, the terminal, and trackers."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from limbeck.core.errors import MissingError
from limbeck.core.files import atomic_write, wrap_write_errors
from limbeck.core.json_files import Schema, read_json_lines
from limbeck.core.progress import QUIET_SECONDS, say

if TYPE_CHECKING:
    from rich.console import Console

TIME_FIELDS = ("seconds", "pairs_per_second", "tokens_per_second", "flops_utilisation")
"""Fields of a record that differ between two equal trainings."""

Tracker = Literal["tensorboard", "trackio", "wandb"]

_SCHEMA: Schema = {"kind": str, "step": int}
_REMEDY = "put it right, or remove the training's folder to train anew"


class LogSink(Protocol):
    """Takes the records of a training, one for each step and each validation.

    A record carries `kind` ("step" or "validation") and the optimiser `step` that it belongs to, from 1.
    """

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record."""

    def sync(self) -> None:
        """Have on disk what was taken; called before a checkpoint is written."""

    def close(self) -> None:
        """Called once, at the end."""


class TrainingLog:
    """Appends records to a file of JSON lines, cut back to the checkpoint when a training is resumed.

    Raises MissingError where it cannot be written, as on a full disk; complete records stay.
    """

    def __init__(self, path: Path, step: int, validation_due: bool = False) -> None:
        """Open the log behind `step`: later records belong to work that will be done again, and are dropped.

        With `validation_due`, the validation of `step` is such work as well. DataError for a damaged line.
        """

        def is_kept(record: Mapping[str, Any]) -> bool:
            again = validation_due and record["step"] == step and record["kind"] == "validation"
            return record["step"] <= step and not again

        kept = [record for record in read_log(path) if is_kept(record)]
        with atomic_write(path) as file:
            file.writelines(_line(record) for record in kept)
        self._path = path
        with wrap_write_errors(path):
            self._stream = path.open("ab")

    def write(self, record: Mapping[str, Any]) -> None:
        """Append one record; it is on its way to disk when this returns."""
        with wrap_write_errors(self._path):
            self._stream.write(_line(record))
            self._stream.flush()

    def sync(self) -> None:
        """Have on disk what was written, so that after a power cut the log reaches as far as a checkpoint."""
        with wrap_write_errors(self._path):
            os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        # All was flushed but a record whose writing has failed, and that has been said.
        with suppress(OSError):
            self._stream.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All complete records of a log, also of one that is being written; none where there is no log yet.

    Raises:
        DataError: a damaged line, as `path:line: …`.
    """
    return [record for _, record in read_json_lines(path, _SCHEMA, _REMEDY)] if path.exists() else []


def _line(record: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(record)}\n".encode()


def tracker(name: Tracker, output: Path, config: Mapping[str, Any], called: tuple[str, str] | None = None) -> LogSink:
    """The sink of a tracker, for the training that writes into `output`.

    TensorBoard writes below `output/tensorboard`, or for a run that is `called` something into `output`; the others
    take the account, the server and offline mode from their own environment variables.

    Args:
        config: what the training is, for the tracker's own tables.
        called: project and run; by default the last two folders of `output`.

    Raises:
        MissingError: it is not installed.
    """
    assert name in get_args(Tracker)
    if name == "tensorboard":
        folder = output if called else output / "tensorboard"
        writer = _imported("torch.utils.tensorboard", name).SummaryWriter(str(folder))
        return _TensorBoard(writer)
    place = output.resolve()
    project, run = called or (place.parent.name or "limbeck", place.name)
    return _Run(_imported(name, name), project, run, config)


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, record: Mapping[str, Any]) -> None:
        for key, value in scalars(record).items():
            self._writer.add_scalar(key, value, record["step"])

    def sync(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _Run:
    """trackio and Weights & Biases, which speak the same language.

    What they say goes where messages go: on standard output it would stand in the middle of `--json`'s answer.
    """

    def __init__(self, module: Any, project: str, name: str, config: Mapping[str, Any]) -> None:
        self._module = module
        with redirect_stdout(sys.stderr):
            self._run = module.init(project=project, name=name, config=dict(config))

    def write(self, record: Mapping[str, Any]) -> None:
        with redirect_stdout(sys.stderr):
            self._run.log(scalars(record), step=record["step"])

    def sync(self) -> None:
        """They send what they have by themselves."""

    def close(self) -> None:
        with redirect_stdout(sys.stderr):
            self._module.finish()  # not the run's, which trackio would finish once more at exit, and say so


class StepProgress:
    """Shows step, smoothed loss, pairs per second and the learning rate while a training runs."""

    def __init__(self, console: "Console", steps: int, done: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console, self.steps, self.done = console, steps, done
        columns = (TextColumn("  train"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self.task = self.bar.add_task("", total=steps, completed=done)
        self.loss: float | None = None
        self.pairs, self.since, self.said = 0, time.monotonic(), time.monotonic()

    def __enter__(self) -> "StepProgress":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def advance(self, loss: float, pairs: int, rate: float) -> None:
        """One step more."""
        self.done += 1
        self.loss = loss if self.loss is None else 0.9 * self.loss + 0.1 * loss
        self.pairs += pairs
        now = time.monotonic()
        text = f"loss {self.loss:.4f}, {self.pairs / (now - self.since):.0f} pairs/s, learning rate {rate:.1e}"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=self.done, description=text)
        elif now - self.said >= QUIET_SECONDS:
            say(self.console, f"  step {self.done} of {self.steps}: {text}")
            self.said = now


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record under names such as `train/loss`, `validation/nDCG@10` and `validation/nDCG@10/SET`.

    Those of a finished study's tests are `test/nDCG@10/COLLECTION`.

    >>> scalars({"kind": "step", "step": 3, "loss": 0.5, "stage": 1})
    {'train/loss': 0.5, 'train/stage': 1}
    """
    if record["kind"] == "validation":
        name = f"validation/{record['measure']}"
        return {name: record["value"], **{f"{name}/{key}": value for key, value in record["values"].items()}}
    if record["kind"] == "test":
        return {
            f"test/{measure}/{collection}": value
            for collection, means in record["values"].items()
            for measure, value in means.items()
        }
    numbers = {key: value for key, value in record.items() if isinstance(value, int | float) and key != "step"}
    return {f"train/{key}": value for key, value in numbers.items()}


def _imported(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingError(
            f"{name} is not installed ({error}); pip install {name}, or limbeck[track] for all"
        ) from error
