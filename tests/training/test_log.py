"""Log sinks: adding one takes one file, as this one shows, and it is handed what the log of JSON lines is handed."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import MissingError
from limbeck.training import TrainingPlan, train
from limbeck.training.log import LogSink, Tracker, TrainingLog, read_log, tracker


class Notebook:
    """A toy sink: records in memory."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.synced = self.closed = 0

    def write(self, record: Mapping[str, Any]) -> None:
        self.records.append(dict(record))

    def sync(self) -> None:
        self.synced += 1

    def close(self) -> None:
        self.closed += 1


def test_a_sink_of_ones_own_gets_every_record(plan: Callable[..., TrainingPlan], tmp_path: Path) -> None:
    sink: LogSink = Notebook()
    train(plan(), tmp_path, sinks=[sink])
    assert isinstance(sink, Notebook)
    assert sink.records == read_log(tmp_path / "log.jsonl")
    assert (len(sink.records), sink.closed) == (11 + 4, 1)
    assert sink.synced == 5  # before each checkpoint


def test_a_sink_is_closed_when_a_training_breaks_off(plan: Callable[..., TrainingPlan], tmp_path: Path) -> None:
    class Full(Notebook):
        def write(self, record: Mapping[str, Any]) -> None:
            raise OSError("full")

    sink = Full()
    with pytest.raises(OSError, match="full"):
        train(plan(), tmp_path, sinks=[sink])
    assert sink.closed == 1


def test_a_log_is_cut_back_to_its_checkpoint_and_a_torn_last_line_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = TrainingLog(path, 0)
    for step in (1, 2, 3):
        log.write({"kind": "step", "step": step})
    log.write({"kind": "validation", "step": 2})
    log.close()
    with path.open("a") as stream:
        stream.write('{"kind": "st')
    assert [record["step"] for record in read_log(path)] == [1, 2, 3, 2]
    TrainingLog(path, 2, validation_due=True).close()
    assert read_log(path) == [{"kind": "step", "step": 1}, {"kind": "step", "step": 2}]


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_a_tracker_takes_the_numbers_or_names_what_to_install(
    name: Tracker,
    plan: Callable[..., TrainingPlan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    module = {"tensorboard": "tensorboard"}.get(name, name)
    if find_spec(module) is None:
        with pytest.raises(MissingError, match=rf"{name} is not installed .*; pip install {name}"):
            tracker(name, tmp_path, {})
        return
    train(plan(), tmp_path / "out", sinks=[tracker(name, tmp_path / "out", {"seed": 1})])
    assert capfd.readouterr().out == ""  # where `--json` answers
    if name == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
        events.Reload()
        assert [event.step for event in events.Scalars("train/loss")] == list(range(1, 12))
        assert [event.step for event in events.Scalars("validation/nDCG@10/small")] == [3, 6, 9, 11]
    if name == "trackio":
        [database] = (tmp_path / "trackio").glob("*.db")
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("select step, metrics from metrics order by id").fetchall()
        logged = [(step, json.loads(metrics)) for step, metrics in rows]
        assert [step for step, numbers in logged if "train/loss" in numbers] == list(range(1, 12))
        assert [step for step, numbers in logged if "validation/nDCG@10/small" in numbers] == [3, 6, 9, 11]
    if name == "wandb":
        [kept] = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
        # Numbers are JSON texts in its log; one that ends a block is cut in two.
        assert kept.read_bytes().count(b"train/loss") >= 11
