"""Files and folders that are there complete or not at all: written aside, then renamed."""

import ctypes
import errno
import fcntl
import gzip
import json
import math
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from datetime import datetime
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from limbeck.core.errors import LimbeckError, MissingError, UsageError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_fences: list[Callable[[], None]] = []


@contextmanager
def fenced(check: Callable[[], None]) -> Iterator[None]:
    """Have `check` asked right before everything that is renamed into place meanwhile; what it raises prevents it."""
    _fences.append(check)
    try:
        yield
    finally:
        _fences.remove(check)


def check_fence() -> None:
    """Raise what the fences raise: this process may publish nothing more; see `limbeck.core.lease`."""
    for check in _fences:
        check()


@contextmanager
def atomic_write(path: Path) -> Iterator[BufferedIOBase]:
    """A stream of bytes that becomes the file `path` on leaving, flushed to disk; nothing is left of a broken-off one.

    Gzipped if the name ends in `.gz`. Folders on the way are made. Equal content gives equal bytes.

    Raises:
        MissingError: it cannot be written, as on a full disk; an older file of that name is as it was.
        UsageError: it is a device, or a pipe.
    """
    aside = _beside(path)
    try:
        with wrap_write_errors(path):
            _check_regular(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as stream:
                if path.name.endswith(".gz"):
                    # No file name and no time in the gzip header.
                    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
                        yield packed
                else:
                    yield stream
                stream.flush()
                os.fsync(stream.fileno())
            check_fence()
            os.replace(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink()


def check_output(path: Path, folder: bool = False) -> None:
    """Refuse a place where no file, or no folder, can be written, before any work is done for it.

    Raises:
        UsageError: its name is taken by something else, or one of the folders that it is to be in is a file.
        MissingError: this user may not write there, or no file can have this name.
    """
    whole = path.absolute()
    try:
        is_folder, is_taken = path.is_dir(), path.exists()
        place = whole if folder and is_folder else next(each for each in whole.parents if each.exists())
    except OSError as error:
        raise MissingError(f"{path}: cannot be written: {error.strerror}") from None
    if folder and is_taken and not is_folder:
        raise UsageError(f"{path}: is a file; expected the name of a folder to write")
    if not folder and is_folder:
        raise UsageError(f"{path}: is a folder; expected the name of a file to write")
    _check_regular(path)
    if not place.is_dir():
        raise UsageError(f"{path}: cannot be written: {place} is a file; expected a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise MissingError(f"{path}: cannot be written: no permission to write in {place}")


def _check_regular(path: Path) -> None:
    """A device or a pipe would be replaced by the file that is renamed to it."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(f"{path}: is a device or a pipe; expected the name of a file to write")


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, complete or not at all; see `atomic_write`."""
    with atomic_write(path) as stream:
        stream.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, dataclasses as objects, complete or not at all; see `atomic_write`."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, default=plain) + "\n")


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: dataclasses become objects, tuples lists, keys text, NaN and ±inf null."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def temporary_folder(place: Path) -> Iterator[Path]:
    """A new empty folder beside `place`, on the same file system; removed on leaving unless it was renamed.

    Made with the user's own permissions, as `tempfile` would not: what is renamed may be shared.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = _beside(place)
    aside.mkdir()
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def locked(path: Path, wait: bool = False, leased: bool = False) -> Iterator[bool]:
    """Hold a lock file; False if another process does. The system lets go when the holder ends, however it ends.

    The file says who holds it, for `lock_holder`. On a file system without `flock`, a file beside it is created
    instead, which a holder that is killed leaves behind: it counts no more once its process is gone from this machine,
    or was silent for a lease's seconds.

    Args:
        wait: until the other lets go; then it is never False.
        leased: whether a lease (`fenced`), where this process has one, is hold enough: a process that was stopped for
            too long has lost its lease, but no lock of the system's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if leased and _fences:
        yield True
        return
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
        else:
            with suppress(OSError):  # a full disk hinders no lock
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now():%Y-%m-%d %H:%M:%S}")
                file.flush()
            yield True
            return
    from limbeck.core.lease import Lease, take

    while True:
        held = take(path.parent / f".{path.name}.holders", path.name, {})
        if isinstance(held, Lease):
            with held:
                try:
                    yield True
                finally:
                    held.end("done")
            return
        if not wait:
            yield False
            return
        time.sleep(1)


@contextmanager
def waited_lock(path: Path, wait: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file as `locked` does; while another process holds it, tell `wait` who, and wait for it."""
    with locked(path) as mine:
        if mine:
            yield
            return
    wait(lock_holder(path))
    with locked(path, wait=True):
        yield


def lock_holder(path: Path) -> str:
    """Who holds a lock file, or held it last: `process 4711 on HOST, since 2026-11-28 12:00:00`."""
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except (OSError, UnicodeDecodeError):
        return "another process"


def remove_leftovers(place: Path) -> None:
    """Remove what killed processes left beside `place`. Only for who knows that no other process writes there now."""
    for path in list(place.parent.glob(".*")):  # none where there is no such folder yet
        if not re.fullmatch(rf"\.{re.escape(place.name)}\.[0-9a-f]{{12}}", path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Have the files of a folder on disk, so that a power cut after the rename leaves no empty ones behind."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())


def replace_folder(aside: Path, place: Path) -> None:
    """Rename `aside` to `place`; a folder that is there changes places with it, in one step where the system can.

    Where it cannot (other systems than Linux, some network file systems), the old folder steps back first and returns
    if the renaming fails; a process killed between the two leaves it under a hidden name.
    """
    check_fence()
    if not place.exists():
        os.replace(aside, place)
        return
    if exchange(aside, place):
        return
    old = _beside(place)
    os.replace(place, old)
    try:
        os.replace(aside, place)
    except BaseException:
        os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def wrap_write_errors(path: Path, remedy: str = "the same command goes on from it") -> Iterator[None]:
    """Turn what a full disk, or any other that cannot be written, raises into one error that names the path.

    Raises:
        MissingError: with what is to be done.
    """
    try:
        yield
    except LimbeckError:
        raise
    except Exception as error:
        # safetensors and tokenizers, written in Rust, raise classes of their own, or none, with the system's number.
        if not isinstance(error, OSError) and "(os error " not in str(error):
            raise
        reason = getattr(error, "strerror", None) or error
        raise MissingError(
            f"{path}: cannot be written: {reason}. What was complete before is kept; "
            f"given room and permission to write there, {remedy}"
        ) from error


def _beside(place: Path) -> Path:
    return place.parent / f".{place.name}.{uuid.uuid4().hex[:12]}"


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step (renameat2, which Python's os lacks); False where that cannot be had."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
