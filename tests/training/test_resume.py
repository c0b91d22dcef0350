import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from limbeck.core.errors import UsageError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.training import Backbone, TrainingPlan, checkpoint, loop, train
from limbeck.training.log import TIME_FIELDS, read_log

Plan = Callable[..., TrainingPlan]


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in TIME_FIELDS}


def outcome(output: Path) -> tuple[bytes, list[dict[str, Any]], dict[str, Any]]:
    """Weights, log and summary of a finished training, without times."""
    weights = (output / "model" / "model.safetensors").read_bytes()
    log = [timeless(record) for record in read_log(output / "log.jsonl")]
    return weights, log, timeless(json.loads((output / "summary.json").read_text()))


class Killed(BaseException):
    """Stands for a process that ends at once."""


def stop() -> None:
    raise Killed


def kill_at(monkeypatch: pytest.MonkeyPatch, place: Any, name: str, call: int) -> Callable[[], bool]:
    """Let the `call`-th call (from 1) of a function end the process; the result says whether it came to that."""
    real, calls = getattr(place, name), 0

    def stand_in(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return real(*args, **options)

    monkeypatch.setattr(place, name, stand_in)
    return lambda: calls >= call


@pytest.fixture(scope="module")
def reference(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("training_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    output = tmp_path_factory.mktemp("reference") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        train(module.make_plan(model), output)
    return output


def test_an_uninterrupted_training_logs_every_step_and_validation_once(reference: Path) -> None:
    _, log, summary = outcome(reference)
    steps = [record["step"] for record in log if record["kind"] == "step"]
    validations = [record["step"] for record in log if record["kind"] == "validation"]
    assert (steps, validations) == (list(range(1, 12)), [3, 6, 9, 11])
    assert [record["stage"] for record in log if record["kind"] == "step"] == [1] * 6 + [2] * 5
    assert 0 < summary["single_pass_steps"] < 11  # both kinds of step are resumed here
    assert not (reference / "checkpoints").exists()


AT_WORK = [
    (loop, "backward", 1),
    (loop, "backward", 4),
    (loop, "measure_run", 1),
    (loop, "backward", 5),  # the first step of the second stage
    (loop, "backward", 2),
    (loop, "rerank", 2),
]
AT_WRITING = [
    (checkpoint, "save_file", 1),
    (checkpoint, "save_file", 5),
    (checkpoint, "_flush", 4),
    (checkpoint, "_digest", 6),
    (checkpoint.os, "replace", 3),
    (checkpoint.shutil, "rmtree", 3),
    (loop, "summarise", 1),
]


@pytest.mark.parametrize("kills", [AT_WORK, AT_WRITING], ids=["at work", "at writing"])
def test_killed_at_any_place_again_and_again_a_training_ends_with_the_same_bytes(
    kills: list[tuple[Any, str, int]], reference: Path, plan: Plan, tmp_path: Path
) -> None:
    for place, name, call in kills:
        with pytest.MonkeyPatch.context() as patch:
            came = kill_at(patch, place, name, call)
            with pytest.raises(Killed):
                train(plan(), tmp_path / "out")
            assert came(), (name, call)
    train(plan(), tmp_path / "out")
    assert outcome(tmp_path / "out") == outcome(reference)


def test_killed_before_every_second_step_a_training_ends_with_the_same_bytes(
    reference: Path, plan: Plan, tmp_path: Path
) -> None:
    kills = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            came = kill_at(patch, loop, "backward", 4)
            try:
                train(plan(), tmp_path / "out")
            except Killed:
                assert came()
                kills += 1
                assert kills < 20
                continue
        break
    assert kills >= 4
    assert outcome(tmp_path / "out") == outcome(reference)


def test_a_model_that_matches_words_resumes_as_the_wider_one_that_it_is(
    deeper: Path, plan: Plan, tmp_path: Path
) -> None:
    wider = plan(backbone=Backbone(model=str(deeper), max_length=28, match_words=True))
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, loop, "backward", 4)
        with pytest.raises(Killed):
            train(wider, tmp_path / "out")
    for output in (tmp_path / "out", tmp_path / "whole"):
        train(wider, output)
    assert outcome(tmp_path / "out") == outcome(tmp_path / "whole")
    saved = CrossEncoder.load(tmp_path / "out" / "model")
    assert saved.model.config.hidden_size == 16 + 48  # heads of 8, six of them
    assert saved.parameters == json.loads((tmp_path / "out" / "summary.json").read_text())["parameters"]
    with pytest.raises(UsageError):  # another training than the one that was begun
        train(plan(backbone=Backbone(model=str(deeper), max_length=28)), tmp_path / "out")


@pytest.mark.parametrize(("stop", "call"), [(signal.SIGINT, 12), (signal.SIGTERM, 15), (signal.SIGINT, 1)])
def test_a_stop_breaks_off_a_step_at_once_and_resuming_takes_it_whole(
    stop: int, call: int, reference: Path, plan: Plan, tmp_path: Path
) -> None:
    real, calls, said = CrossEncoder.forward, iter(range(1, 1000)), StringIO()

    def signalled(*args: Any, **options: Any) -> Any:
        number = next(calls)
        if number == call:
            os.kill(os.getpid(), stop)
        assert number <= call
        return real(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CrossEncoder, "forward", signalled)
        with pytest.raises(KeyboardInterrupt):
            train(plan(validation=None), tmp_path / "out", Console(file=said, width=200))
    assert "asked to stop: writes a checkpoint" in said.getvalue()
    assert (tmp_path / "out" / "checkpoints").exists() == (call > 1)
    train(plan(validation=None), tmp_path / "out")
    train(plan(validation=None), tmp_path / "straight")
    assert outcome(tmp_path / "out") == outcome(tmp_path / "straight")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_validation_broken_off_is_done_again_and_logged_once(
    stop: int, reference: Path, plan: Plan, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "rerank", lambda *_, **__: os.kill(os.getpid(), stop))
        with pytest.raises(KeyboardInterrupt):
            train(plan(), tmp_path / "out")
    assert (tmp_path / "out" / "checkpoints" / "step-000000003").is_dir()
    with pytest.MonkeyPatch.context() as patch:  # validated now, then killed before the next checkpoint
        kill_at(patch, loop, "backward", 1)
        with pytest.raises(Killed):
            train(plan(), tmp_path / "out")
    assert [record["kind"] for record in read_log(tmp_path / "out" / "log.jsonl")][-1] == "validation"
    train(plan(), tmp_path / "out")
    assert outcome(tmp_path / "out") == outcome(reference)


def test_an_impatient_second_stop_does_not_break_off_the_checkpoint(
    reference: Path, plan: Plan, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        real = checkpoint.save_file
        patch.setattr(loop, "rerank", lambda *_, **__: os.kill(os.getpid(), signal.SIGINT))
        patch.setattr(checkpoint, "save_file", lambda *args: (os.kill(os.getpid(), signal.SIGINT), real(*args)))
        with pytest.raises(KeyboardInterrupt):
            train(plan(settings=replace(plan().settings, checkpoint_every=100)), tmp_path / "out")
    assert (tmp_path / "out" / "checkpoints" / "step-000000003").is_dir()
    train(plan(), tmp_path / "out")
    assert outcome(tmp_path / "out") == outcome(reference)


def test_the_same_call_after_the_end_returns_the_summary(reference: Path, plan: Plan) -> None:
    before = outcome(reference)
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, loop, "backward", 1)
        summary = train(plan(), reference)
    assert summary == json.loads((reference / "summary.json").read_text())
    assert outcome(reference) == before


def test_what_a_process_killed_at_the_very_end_left_is_cleared_away(
    reference: Path, plan: Plan, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.shutil, "rmtree", lambda path, **_: os.fspath(path).endswith("checkpoints") and stop())
        with pytest.raises(Killed):
            train(plan(), tmp_path / "out")
    assert any((tmp_path / "out" / "checkpoints").iterdir())
    train(plan(), tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoints").exists()
    assert outcome(tmp_path / "out") == outcome(reference)


def test_how_often_checkpoints_are_written_changes_nothing(reference: Path, plan: Plan, tmp_path: Path) -> None:
    often, seldom = plan(), plan(settings=replace(plan().settings, checkpoint_every=5))
    assert often.fingerprint == seldom.fingerprint
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, loop, "backward", 9)
        with pytest.raises(Killed):
            train(seldom, tmp_path / "out")
    train(often, tmp_path / "out")
    assert outcome(tmp_path / "out") == outcome(reference)


def test_a_checkpoint_of_another_version_is_refused_by_its_folder(tmp_path: Path) -> None:
    from limbeck.core.errors import DataError
    from limbeck.training.state import State

    with pytest.raises(DataError, match=r"out: a checkpoint of another version .* remove the folder"):
        State.of({"step": 3, "of_old": True}, 1, tmp_path / "out")
