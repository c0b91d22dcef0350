"""Where a study's results lie on disk. Whatever has its name there is complete: all is written aside, then renamed."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from limbeck.core import json_files
from limbeck.core.errors import MissingError

REMEDY = "remove it and run the study again"
Record = TypeVar("Record")


class Store:
    """The output folder of a study.

    study.yaml                  a copy of the study file
    index.json                  what the study consists of, and which cell is which
    graph.json                  its nodes: what each needs and takes
    attempts/XX/KEY.N.json      the N-th attempt at a node: who makes it, and how it ended
    logs/KEY.N.log              what it said
    invocations/TIME.json       which call ran which cells, with what and where
    hashes.json                 SHA-256 of its files, so that only new ones are read for the provenance
    cells/ID/                   cell.json (its description), state.json, the training's files
    cells/ID/evaluations/KEY/   run.gz, head.gz (its first passages), values.json (every query's values)
    shared/runs/KEY.run.gz      first stages' runs
    shared/lists/KEY.parquet    training lists
    shared/taught/KEY.json.gz   a teacher's scores or orders, by which lists are made
    shared/teachers/            scores of cross-encoders, and KEY.calls.jsonl: calls to an LLM; none is made twice
    shared/leaks/KEY.json       what was found of a test in training lists or a validation
    shared/evaluations/KEY/     the same as a cell's, of first stages and teachers
    shared/prefixes/KEY/      states after first stages that several cells have in common, until all cells are done
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @property
    def index(self) -> Path:
        return self.folder / "index.json"

    @property
    def graph(self) -> Path:
        return self.folder / "graph.json"

    @property
    def attempts(self) -> Path:
        return self.folder / "attempts"

    def log(self, key: str, attempt: int) -> Path:
        return self.folder / "logs" / f"{key}.{attempt}.log"

    @property
    def study(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def invocations(self) -> Path:
        return self.folder / "invocations"

    def cell(self, cell_id: str) -> Path:
        return self.folder / "cells" / cell_id

    def evaluation(self, cell_id: str | None, key: str) -> Path:
        """The folder of one evaluation, of a cell or of what all cells share."""
        return (self.folder / "shared" if cell_id is None else self.cell(cell_id)) / "evaluations" / key

    @property
    def latency(self) -> Path:
        """What `limbeck bench` measured of the study's backbones; there only once it did."""
        return self.folder / "latency.json"

    def run(self, key: str) -> Path:
        return self.folder / "shared" / "runs" / f"{key}.run.gz"

    def lists(self, key: str) -> Path:
        return self.folder / "shared" / "lists" / f"{key}.parquet"

    def taught(self, key: str) -> Path:
        return self.folder / "shared" / "taught" / f"{key}.json.gz"

    @property
    def teachers(self) -> Path:
        return self.folder / "shared" / "teachers"

    def leaks(self, key: str) -> Path:
        return self.folder / "shared" / "leaks" / f"{key}.json"

    def prefix(self, key: str) -> Path:
        return self.folder / "shared" / "prefixes" / key

    def prefix_training(self, key: str) -> Path:
        """The folder of the training that makes a prefix."""
        return self.prefix(f"{key}.training")

    def drop_prefixes(self) -> None:
        """Remove what only cells that are still to be trained need."""
        shutil.rmtree(self.folder / "shared" / "prefixes", ignore_errors=True)

    def state(self, cell_id: str) -> dict[str, Any]:
        """A cell's `state.json`: `status`, and what came of it; empty where there is none yet."""
        path = self.cell(cell_id) / "state.json"
        found: dict[str, Any] = read_json(path) if path.exists() else {}
        return found

    def read_index(self) -> dict[str, Any]:
        """`index.json`. MissingError where the folder holds no study."""
        self.require(self.index)
        found: dict[str, Any] = read_json(self.index)
        return found

    def require(self, file: Path) -> None:
        """Raise MissingError where a file that every study has is not there."""
        if not file.exists():
            raise MissingError(f"{self.folder}: holds no study; expected the --output of `limbeck study run`")


_COLLECTION: json_files.Schema = {"name": str, "place": str, "fingerprint": str, "documents": int, "queries": int}
_SCHEMAS: Mapping[str, json_files.Schema] = {
    "values.json": {
        "collection": str, "queries": int, "scored": int, "missing": int, "short": int,
        "values": {...: {...: float}}, "ranking?": str, "depth?": int,
    },
    "plan.json": {"stages": [{"steps": int}]},
    "latency.json": {
        "measured": [{"model": str, "form": str, "threads": (int, None), "passages": int, "p50_ms": float}]
    },
    "state.json": {"status": str, "steps?": (int, None), "seconds?": float, "error?": (str, None)},
    "index.json": {
        "name": str, "created": str, "limbeck_version": str, "measures": [str], "collections": [_COLLECTION],
        "training": [_COLLECTION], "validation": ({"collections": [_COLLECTION]}, None),
        "first_stage": {"name": str, "description": str, "depth": int, "evaluations": {...: str}},
        "teachers": [{"name": str, "model": str, "evaluations": {...: str}}],
        "backbones": [{"name": str, "model": str, "layers": (int, None)}],
        "recipes": [{"name": str, "stages": [{"objective": str, "lists": str, "steps": (int, None)}]}],
        "facts": dict, "leaks": [{"kind": str, "name": str, "test": str, "key": str}],
        "cells": [
            {"id": str, "backbone": str, "recipe": str, "seed": int, "steps": (int, None), "evaluations": {...: str}}
        ],
        "warnings": [str],
    },
}  # fmt: skip
"""What files of these names must hold; all others are objects."""


def read_json(path: Path) -> Any:
    """One of the folder's JSON files. DataError names the line or key of what is damaged; it and MissingError say how
    the file is made again.
    """
    return json_files.read_json(path, _SCHEMAS.get(path.name, dict), REMEDY)


def read_record(path: Path, kind: type[Record]) -> Record:
    """A JSON file as a dataclass. DataError names the key that is absent or holds something else; see `read_json`."""
    return json_files.read_record(path, kind, REMEDY)
