"""The training log: one JSON object a line, cut back to the checkpoint when a training is resumed."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from limbeck.core.files import wrap_write_errors

TIME_FIELDS = ("seconds", "pairs_per_second", "tokens_per_second", "flops_utilisation")
"""Fields of a record that differ between two equal trainings."""


class TrainingLog:
    """Appends records to `path`. Each carries the optimiser step it belongs to, from 1.

    Raises MissingError where it cannot be written, as on a full disk; complete records stay.
    """

    def __init__(self, path: Path, step: int, validation_due: bool = False) -> None:
        """Open the log behind `step`: later records belong to work that will be done again, and are dropped.

        With `validation_due`, the validation of `step` is such work as well.
        """

        def is_kept(record: dict[str, Any]) -> bool:
            again = validation_due and record["step"] == step and record["kind"] == "validation"
            return record["step"] <= step and not again

        kept = [line for line in _lines(path) if is_kept(json.loads(line))]
        self._path, aside = path, path.with_name(f".{path.name}")
        with wrap_write_errors(path):
            aside.write_text("".join(kept))
            os.replace(aside, path)
            self._stream = path.open("a")

    def write(self, **record: Any) -> None:
        """Append one record; it is on its way to disk when this returns."""
        with wrap_write_errors(self._path):
            self._stream.write(json.dumps(record) + "\n")
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
    """All complete records of a log, also of one that is being written."""
    return [json.loads(line) for line in _lines(path)]


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    # A line without its end was being written when the process was killed.
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
