"""The record of every call that ran cells of a study: command, versions, machine, times and what became of them."""

import uuid
from datetime import UTC, datetime
from typing import Any

from limbeck.core.environment import command, commit, machine, unnamed, versions
from limbeck.core.files import write_json
from limbeck.study.run.store import Store, read_json


class Invocation:
    """One call's record, a file of its own, so that calls at the same time do not meet.

    It is written on each occasion; of a call that was killed, what it had done by then is known.
    """

    def __init__(self, store: Store) -> None:
        began = _now()
        self._path = store.invocations / f"{began.replace(':', '')}-{uuid.uuid4().hex[:6]}.json"
        facts = {"command": command(), "commit": commit(), "versions": versions(), "machine": machine()}
        self._record: dict[str, Any] = {"began": began, "last": began, **unnamed(facts), "cells": {}}
        write_json(self._path, self._record)

    def note(self, cell_id: str, result: str) -> None:
        """Write down what became of a cell."""
        self._record["cells"][cell_id] = result
        self._record["last"] = _now()
        write_json(self._path, self._record)


def read_invocations(store: Store) -> list[dict[str, Any]]:
    """All records, in the order in which the calls began; none of a study that an older limbeck ran."""
    return [read_json(path) for path in sorted(store.invocations.glob("*.json"))]


def _now() -> str:
    return datetime.now(UTC).isoformat("T", "seconds")
