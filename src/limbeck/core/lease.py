"""A hold on a piece of work that many machines may reach for, over a shared folder, and that ends with its holder.

Nothing but what network file systems give is relied on: exclusive creation of a file, what a file that is opened holds
(close-to-open consistency), and the file server's own clock. `flock` is not.

Each try at the work is an *attempt*, a file `KEY.N.json` with the next number. Who creates it holds the work; it is
touched while the holder lives, and holds how the attempt ended once it has. An attempt that was not ended and was not
touched for `SECONDS` is over: the next one writes so into it. A holder that was stopped that long and goes on finds it
there, because it looks right before each renaming that publishes something (`limbeck.core.files.check_fence`).
"""

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import fenced, wrap_write_errors
from limbeck.core.json_files import Schema, read_json

DEFAULT_SECONDS = 60.0
VARIABLE = "LIMBECK_LEASE"
BEATS = 6  # touches within a lease's seconds
_RECORD: Schema = {"host?": str, "pid?": int, "began?": float, "ended?": float, "status?": str}


class LeaseLost(Exception):
    """Another attempt has taken over; nothing more may be published by this one."""


@dataclass(frozen=True)
class Attempt:
    """One try at a piece of work, as its file tells.

    Attributes:
        record: `host`, `pid`, `began`; once it is over `ended`, `status` and what the holder wrote beside them.
    """

    key: str
    number: int
    path: Path
    record: Mapping[str, Any]

    @property
    def status(self) -> str | None:
        """What became of it; None while it is not over."""
        return self.record.get("status")


class Lease:
    """A hold on work by this process; as a context, alive until it is left."""

    def __init__(self, attempt: Attempt, seconds: float, on_loss: Callable[[], None] | None) -> None:
        self.attempt, self.seconds = attempt, seconds
        self._on_loss = on_loss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {attempt.key}", daemon=True)
        self._fence = fenced(self.check)

    def __enter__(self) -> "Lease":
        self._fence.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._fence.__exit__(None, None, None)

    def check(self) -> None:
        """Raise LeaseLost if another attempt has taken over."""
        path = self.attempt.path
        # Opened anew, so that a network file system asks its server.
        following = path.with_name(f"{self.attempt.key}.{self.attempt.number + 1}.json")
        if read_record(path).get("status") is not None or following.exists():
            raise LeaseLost(
                f"{self.attempt.key}: attempt {self.attempt.number} was silent for more than {self.seconds:g} s and "
                "another one has taken over; this one publishes nothing"
            )

    def end(self, status: str, **facts: Any) -> None:
        """Write down how the attempt ended. LeaseLost if it is another one's by now."""
        self.check()
        _write(self.attempt.path, {**self.attempt.record, "ended": time.time(), "status": status, **facts})

    def _beat(self) -> None:
        while not self._over.wait(self.seconds / BEATS):
            try:
                self.check()
                os.utime(self.attempt.path)
            except LeaseLost:
                if self._on_loss is not None:
                    self._on_loss()
                return
            except OSError:
                continue  # a file server that is away; if it is away for too long, another attempt begins


def lease_seconds() -> float:
    """How long a holder may be silent: $LIMBECK_LEASE, or a minute."""
    text = os.environ.get(VARIABLE, str(DEFAULT_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86400:
        raise UsageError(f"{VARIABLE} is {text!r}, expected seconds between 1 and 86400")
    return seconds


def take(
    folder: Path, key: str, facts: Mapping[str, Any], on_loss: Callable[[], None] | None = None
) -> Lease | Attempt:
    """Hold the work `key`: the lease, or the attempt of another that holds it.

    Args:
        folder: where attempts are kept, in folders by the first two characters of their keys.
        facts: what the record is to hold beside host, process and time.
        on_loss: called in another thread once another attempt has taken over.

    Raises MissingError where nothing can be written there.
    """
    seconds = lease_seconds()
    place = folder / key[:2]
    last = last_attempt(folder, key)
    if last is not None and is_held(last):
        return last
    number = 1 if last is None else last.number + 1
    path = place / f"{key}.{number}.json"
    record = {**facts, **whoami(), "attempt": number, "began": time.time()}
    with wrap_write_errors(path):
        place.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            return Attempt(key, number, path, read_record(path))
        _write(path, record)
        if last is not None and last.status is None:
            _write(last.path, {**last.record, "status": "died", "taken_by": number})
    return Lease(Attempt(key, number, path, record), seconds, on_loss)


def last_attempt(folder: Path, key: str) -> Attempt | None:
    """The newest attempt at some work, or None before the first."""
    numbers = []
    with suppress(FileNotFoundError):
        for name in os.listdir(folder / key[:2]):
            if name.startswith(f"{key}.") and (number := name[len(key) + 1 : -5]).isdecimal():
                numbers.append(int(number))
    if not numbers:
        return None
    return nth_attempt(folder, key, max(numbers))


def nth_attempt(folder: Path, key: str, number: int) -> Attempt:
    """An attempt by its number; with an empty record where there is none, or where it is just being written."""
    path = folder / key[:2] / f"{key}.{number}.json"
    return Attempt(key, number, path, read_record(path))


def is_alive(attempt: Attempt, now: float, touched: float) -> bool:
    """Whether an attempt's holder works on: it is not over, was touched lately, and is no dead process of this machine.

    Args:
        now: the file server's time.
        touched: the time of its file.
    """
    return attempt.status is None and now - touched <= lease_seconds() and not _is_dead(attempt.record)


def is_held(attempt: Attempt) -> bool:
    """The same of one attempt, by the times that the file server gives now."""
    if attempt.status is not None or _is_dead(attempt.record):
        return False
    with attempt.path.open("rb") as stream:  # opened, so that the time is the server's and no cached one
        touched = os.fstat(stream.fileno()).st_mtime
    return is_alive(attempt, server_time(attempt.path.parent), touched)


def server_time(folder: Path) -> float:
    """The time of the file server that holds a folder, which other machines' clocks need not agree with."""
    path = folder / f".clock-{uuid.uuid4().hex[:12]}"
    try:
        with path.open("wb") as stream:
            return os.fstat(stream.fileno()).st_mtime
    finally:
        with suppress(OSError):
            path.unlink()


def read_record(path: Path) -> dict[str, Any]:
    """An attempt's file; empty where it is just being written, or was by one that was killed."""
    try:
        found: dict[str, Any] = read_json(path, _RECORD, "")
    except (DataError, MissingError):
        return {}
    return found


@cache
def whoami() -> dict[str, Any]:
    """What tells this process from all others, as long as it lives."""
    return {"host": platform.node(), "pid": os.getpid(), "space": _space(), "started": _started(os.getpid())}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=whoami.cache_clear)


def _is_dead(record: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this machine, in the same space of process numbers, that is no more."""
    space, pid = record.get("space"), record.get("pid")
    if not space or space != _space() or not isinstance(pid, int):
        return False
    return _started(pid) != record.get("started")


@cache
def _space() -> str | None:
    """The running kernel and the space of process numbers; None where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the kernel did: its number may be given again. None for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]  # a zombie does nothing more


def _write(path: Path, record: Mapping[str, Any]) -> None:
    """In place: the name is the claim, and must stay the same file."""
    with wrap_write_errors(path), path.open("wb") as stream:
        stream.write(json.dumps(record, ensure_ascii=False, default=str).encode(errors="surrogatepass") + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
