"""A hold on work: one holder at a time, whatever becomes of it, and none that publishes behind another's back."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import UsageError
from limbeck.core.files import locked, write_text
from limbeck.core.lease import Attempt, Lease, LeaseLost, last_attempt, lease_seconds, take

KEY = "abcdef012345"


def hold(folder: Path, pipe: Any) -> None:
    """Another process: takes the work, tells so, then writes a file when it is told to, and tells how that went."""
    lease = take(folder, KEY, {"node": "x"})
    assert isinstance(lease, Lease)
    with lease:
        pipe.send("held")
        pipe.recv()
        try:
            write_text(folder / "result.txt", "theirs")
            pipe.send("written")
        except LeaseLost as error:
            pipe.send(str(error))


@pytest.fixture
def other(tmp_path: Path) -> Any:
    """A process that holds the work, and the pipe to it."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, theirs))
    process.start()
    assert ours.recv() == "held"
    yield process, ours
    process.kill()
    process.join()


def test_only_one_holds_and_the_next_attempt_has_the_next_number(tmp_path: Path) -> None:
    lease = take(tmp_path, KEY, {"node": "x"})
    assert isinstance(lease, Lease)
    with lease:
        other = take(tmp_path, KEY, {})
        assert isinstance(other, Attempt)
        assert (other.number, other.status, other.record["pid"]) == (1, None, os.getpid())
        lease.end("done", files={})
    again = take(tmp_path, KEY, {})
    assert isinstance(again, Lease)
    assert again.attempt.number == 2
    assert last_attempt(tmp_path, "fedcba543210") is None


def test_the_hold_of_a_process_that_was_killed_is_taken_over_at_once(tmp_path: Path, other: Any) -> None:
    process, _ = other
    assert not isinstance(take(tmp_path, KEY, {}), Lease)
    process.kill()
    process.join()
    lease = take(tmp_path, KEY, {})
    assert isinstance(lease, Lease)
    first = Attempt(KEY, 1, tmp_path / KEY[:2] / f"{KEY}.1.json", {})
    assert '"taken_by": 2' in first.path.read_text()


def test_one_that_was_stopped_past_its_lease_and_goes_on_publishes_nothing(
    tmp_path: Path, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, pipe = other
    monkeypatch.setenv("LIMBECK_LEASE", "1")
    os.kill(process.pid, signal.SIGSTOP)
    path = tmp_path / KEY[:2] / f"{KEY}.1.json"
    past = time.time() - 5
    os.utime(path, (past, past))  # so long was it silent
    lease = take(tmp_path, KEY, {})
    assert isinstance(lease, Lease)
    with lease:
        write_text(tmp_path / "result.txt", "ours")
        lease.end("done")
    os.kill(process.pid, signal.SIGCONT)
    pipe.send("write")
    assert "another one has taken over" in pipe.recv()
    assert (tmp_path / "result.txt").read_text() == "ours"
    assert not list(tmp_path.glob(".result*"))


def test_a_holder_on_another_machine_counts_until_it_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_LEASE", "30")
    place = tmp_path / KEY[:2] / f"{KEY}.4.json"
    place.parent.mkdir()
    place.write_text('{"host": "elsewhere", "pid": 1, "space": "another", "started": "1", "attempt": 4}')
    assert not isinstance(take(tmp_path, KEY, {}), Lease)
    past = time.time() - 31
    os.utime(place, (past, past))
    lease = take(tmp_path, KEY, {})
    assert isinstance(lease, Lease)
    assert lease.attempt.number == 5


@pytest.mark.parametrize("text", ["soon", "0.1", "nan", "1e9"])
def test_a_lease_that_cannot_be_is_said(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_LEASE", text)
    with pytest.raises(UsageError, match="expected seconds between"):
        lease_seconds()


def test_a_lock_holds_on_a_file_system_without_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with locked(tmp_path / "lock") as mine:
        assert mine
    with locked(tmp_path / "lock") as mine:
        assert mine
    other = take(tmp_path / ".lock.holders", "lock", {})
    assert isinstance(other, Lease)
    with locked(tmp_path / "lock") as mine:
        assert not mine
