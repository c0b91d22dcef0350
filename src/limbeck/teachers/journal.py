"""An append-only file of JSON lines, one record each, that survives being killed at any moment."""

import ctypes
import errno
import fcntl
import json
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import wrap_write_errors
from limbeck.core.json_files import parse_json

Record = dict[str, Any]
Checked = TypeVar("Checked")
_KEEP_SIZE = 1  # linux/falloc.h
_REMEDY = "remove the line, what it held is asked for again"


class Journal:
    """A journal held by this process alone, for reading what is there and appending to it.

    A record counts once its line ends. A half-written last one, of a process that was killed, is removed on opening;
    `repaired` says so. Threads may append at once.

    Raises:
        UsageError: another process holds it.
        MissingError: it cannot be made or written here.
        DataError: what stands at its end is no part of a record, so that it is another file; it is left as it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Keys never get here, but prompts may be confidential: for the owner's eyes.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise MissingError(f"{path}: cannot be written here: {error.strerror or error}") from None
        self._lock = threading.Lock()
        self._reserved = 0  # bytes behind the end
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise UsageError(f"{path}: another process is writing to it; wait for it, or name another file") from None
        try:
            self.repaired = self._repair()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Hold room on the disk for records of so many bytes, for what comes of a call is paid for when it comes.

        Threads hold theirs beside each other. On a file system that cannot hold any, nothing is held.

        MissingError where there is no such room.
        """
        with self._lock, wrap_write_errors(self.path):
            self._hold(self._reserved + size)
            self._reserved += size
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= size
                if not self._reserved:
                    os.ftruncate(self._file, os.fstat(self._file).st_size)  # gives back what was not used

    def _hold(self, size: int) -> None:
        """Take blocks behind the end of the file (fallocate, of which Python's os has no form that keeps the end)."""
        end = os.fstat(self._file).st_size
        if 0 <= resource.getrlimit(resource.RLIMIT_FSIZE)[0] < end + size:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        try:
            fallocate = ctypes.CDLL(None, use_errno=True).fallocate
        except (OSError, AttributeError):
            return
        wanted = ctypes.c_int64(end), ctypes.c_int64(size)
        if fallocate(self._file, _KEEP_SIZE, *wanted) and ctypes.get_errno() in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def append(self, record: Record, own: int = 0) -> None:
        """Add a record; on return it is on disk. One that cannot be written whole leaves nothing behind.

        Room that is reserved is not used up, but for the `own` bytes that were reserved for this record: at a full
        disk, what was paid for is kept first.

        MissingError on a full disk, and what else keeps it from being written.
        """
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        # Half a surrogate pair, which UTF-8 lacks, may be in a server's JSON; with a backslash it is JSON again.
        view = memoryview(text.encode(errors="backslashreplace"))
        with self._lock, wrap_write_errors(self.path):
            end = os.fstat(self._file).st_size
            # What fits in its own room needs no more: room counts as reserved until it is given back, even when filled.
            if self._reserved and len(view) > own:
                self._hold(self._reserved - own + len(view))
            try:
                while view:
                    view = view[os.write(self._file, view) :]
                os.fsync(self._file)
            except BaseException:
                os.ftruncate(self._file, end)
                raise

    def _repair(self) -> bool:
        """Cut off what stands behind the last end of a line, if it is the beginning of a record."""
        size = os.fstat(self._file).st_size
        end, step = size, 1 << 16
        while end:
            start = max(0, end - step)
            found = os.pread(self._file, end - start, start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        last = os.pread(self._file, size - end, end)
        if not last:
            return False
        _check_half_written(self.path, last)
        os.ftruncate(self._file, end)
        return True


def read_journal(path: Path) -> Iterator[Record]:
    """The records of a journal, oldest first; a half-written last one is passed over.

    Raises MissingError where there is no file, and DataError (`path:line: …`) for a whole line that is no record, and
    for a last one that is no part of any.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no such file; `limbeck teach` makes one")
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                _check_half_written(path, line)
                return
            yield parse_json(line, f"{path}:{number}", dict, remedy=_REMEDY, one_line=True, lone_surrogates=True)


def read_records(path: Path, schema: TypeAdapter[Checked], what: str) -> Iterator[Checked]:
    """The records of a journal as `schema` has them. DataError also for a record that is not as it says.

    Args:
        what: what each line is expected to be.
    """
    for number, record in enumerate(read_journal(path), 1):
        try:
            yield schema.validate_python(record)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"] if part != record.get("kind")) or "the record"
            raise DataError(
                f"{path}:{number}: no record of {what}: {key}: {first['msg']}; name the file that `limbeck teach` "
                f"wrote, or {_REMEDY}"
            ) from None


def _check_half_written(path: Path, last: bytes) -> None:
    """DataError where what stands behind the last end of a line is not the beginning of a record."""
    if not last.startswith(b"{") or _is_record(last):
        raise DataError(
            f"{path}: its last line is no half-written record, expected a file that `limbeck teach` wrote; name "
            "another one"
        )


def _is_record(line: bytes) -> bool:
    """Whether a line is a JSON object."""
    try:
        parse_json(line, "", dict, lone_surrogates=True)
    except DataError:
        return False
    return True
