"""Experiment trackers as log sinks: TensorBoard, trackio and Weights & Biases, each if it is installed."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from limbeck.core.errors import MissingError
from limbeck.training.log import LogSink

Tracker = Literal["tensorboard", "trackio", "wandb"]


def tracker(name: Tracker, output: Path, config: Mapping[str, Any]) -> LogSink:
    """The sink of a tracker, for the training that writes into `output`.

    TensorBoard writes below `output/tensorboard`; the others name project and run after the last two folders of
    `output`, and take the rest (account, server, offline mode) from their own environment variables.

    Args:
        config: what the training is, for the tracker's own tables.

    Raises:
        MissingError: it is not installed.
    """
    assert name in get_args(Tracker)
    if name == "tensorboard":
        writer = _imported("torch.utils.tensorboard", name).SummaryWriter(str(output / "tensorboard"))
        return _TensorBoard(writer)
    place = output.resolve()
    library = _imported(name, name)
    return _Run(library.init(project=place.parent.name or "limbeck", name=place.name, config=dict(config)))


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
    """trackio and Weights & Biases, which speak the same language."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def write(self, record: Mapping[str, Any]) -> None:
        self._run.log(scalars(record), step=record["step"])

    def sync(self) -> None:
        """They send what they have by themselves."""

    def close(self) -> None:
        self._run.finish()


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record under names such as `train/loss`, `validation/nDCG@10` and `validation/nDCG@10/SET`.

    >>> scalars({"kind": "step", "step": 3, "loss": 0.5, "stage": 1})
    {'train/loss': 0.5, 'train/stage': 1}
    """
    if record["kind"] == "validation":
        name = f"validation/{record['measure']}"
        return {name: record["value"], **{f"{name}/{key}": value for key, value in record["values"].items()}}
    numbers = {key: value for key, value in record.items() if isinstance(value, int | float) and key != "step"}
    return {f"train/{key}": value for key, value in numbers.items()}


def _imported(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingError(
            f"--track {name}: {name} is not installed ({error}); pip install {name}, or limbeck[track] for all"
        ) from error
