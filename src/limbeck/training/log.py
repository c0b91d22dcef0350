"""Where the numbers of a training go: log sinks, of which the JSON lines beside the model are the one always there."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from limbeck.core.files import atomic_write, wrap_write_errors
from limbeck.core.json_files import Schema, read_json_lines

TIME_FIELDS = ("seconds", "pairs_per_second", "tokens_per_second", "flops_utilisation")
"""Fields of a record that differ between two equal trainings."""

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
