"""An append-only file of JSON lines, one record each, that survives being killed at any moment."""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import wrap_write_errors

Record = dict[str, Any]


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

    def append(self, record: Record) -> None:
        """Add a record; on return it is on disk. One that cannot be written whole leaves nothing behind.

        MissingError on a full disk, and what else keeps it from being written.
        """
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        # Half a surrogate pair, which UTF-8 lacks, may be in a server's JSON; with a backslash it is JSON again.
        view = memoryview(text.encode(errors="backslashreplace"))
        with self._lock, wrap_write_errors(self.path):
            end = os.fstat(self._file).st_size
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
        if not last.startswith(b"{") or _record(last) is not None:
            raise DataError(
                f"{self.path}: its last line is no half-written record, expected a file that `limbeck teach` wrote; "
                "name another one"
            )
        os.ftruncate(self._file, end)
        return True


def read_journal(path: Path) -> Iterator[Record]:
    """The records of a journal, oldest first; a half-written last one is passed over.

    Raises MissingError where there is no file, and DataError (`path:line: …`) for a whole line that is no record.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no such file; `limbeck teach` makes one")
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            record = _record(line)
            if record is None:
                raise DataError(
                    f"{path}:{number}: is no JSON object, expected one on each line; remove the line, what it held is "
                    "asked for again"
                )
            yield record


def _record(line: bytes) -> Record | None:
    """The JSON object that a line holds, if it does."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
