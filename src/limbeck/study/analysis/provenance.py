"""Where a study's numbers come from: every value as one table, every file with its hash, and the calls."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.environment import unnamed
from limbeck.core.files import atomic_write, write_json
from limbeck.study.run.index import read_invocations
from limbeck.study.run.status import cell_state
from limbeck.study.run.store import Store, read_json

RECOMPUTE = (
    'import pyarrow.parquet as pq; values = pq.read_table("results.parquet"); '
    'keys = ["kind", "backbone", "recipe", "first_stage", "collection", "measure"]; '
    'print(values.group_by(keys).aggregate([("value", "mean")]).to_pylist())'
)
"""Python that gives the report's means again; all seeds have the same queries, so the mean of all values is that of
the seeds' means."""


def write_provenance(output: str | Path, path: Path) -> None:
    """Write `provenance(output)`."""
    write_json(path, provenance(output))


def provenance(output: str | Path) -> dict[str, Any]:
    """What every number of a study was made of and with.

    Returns:
        `study`; `collections`, with fingerprints of all that can change an outcome and of the judgments alone;
        `cells`, each with all that decides it (`description`: hashes of weights, lists, runs and collections, and every
        setting) and its files; `files`, path in the study's folder → SHA-256, as `sha256sum` gives it; and
        `invocations`, the calls that ran it, with command, versions, machine and times. Host names are in none of it,
        user names are taken out of paths.
    """
    store = Store(output)
    index = store.read_index()
    done = [cell for cell in index["cells"] if cell_state(store, cell, index["measures"])[0] == "done"]
    others = index.get("other_first_stages", ())
    files = [*_shared(store, index), *(path for cell in done for path in _files(store, cell, others))]
    described: dict[str, Any] = unnamed(
        {
            "study": {key: index[key] for key in ("name", "created", "limbeck_version")},
            "recompute": RECOMPUTE,
            "collections": {
                part: [_without_place(one) for one in found or ()]
                for part, found in (
                    ("training", index.get("training")),
                    ("validation", (index.get("validation") or {}).get("collections")),
                    ("test", index["collections"]),
                )
            },
            "cells": [
                {
                    **{key: cell[key] for key in ("id", "backbone", "recipe", "seed")},
                    "description": read_json(store.cell(cell["id"]) / "cell.json"),
                    "seconds": store.state(cell["id"]).get("seconds"),
                    "files": [path.relative_to(store.folder).as_posix() for path in _files(store, cell, others)],
                }
                for cell in done
            ],
            "invocations": read_invocations(store),
            "files": _hashes(store, list(dict.fromkeys(files))),
            "host": "left out, as are user names",
        }
    )
    return described


def _shared(store: Store, index: dict[str, Any]) -> Iterator[Path]:
    """The study file, and what all cells share."""
    yield from (store.study, store.index)
    for folder in ("runs", "lists"):
        # What is hidden was being made when its process was killed.
        found = (store.folder / "shared" / folder).glob("[!.]*")
        yield from sorted(path for path in found if path.is_file())
    for ranker in (index["first_stage"], *index.get("other_first_stages", ()), *index["teachers"]):
        for key in ranker["evaluations"].values():
            yield from _evaluation(store, None, key)


def _files(store: Store, cell: dict[str, Any], other_first_stages: Sequence[dict[str, Any]]) -> Iterator[Path]:
    folder = store.cell(cell["id"])
    yield from (file for name in ("summary.json", "log.jsonl") if (file := folder / name).exists())
    yield from sorted(path for name in ("model", "exits") for path in (folder / name).rglob("*") if path.is_file())
    for evaluations in (cell["evaluations"], *(stage["cells"] for stage in other_first_stages)):
        for key in evaluations.values():
            yield from _evaluation(store, cell["id"], key)


def _evaluation(store: Store, cell_id: str | None, key: str) -> Iterator[Path]:
    folder = store.evaluation(cell_id, key)
    # Those of other first stages may still be to come.
    yield from (path for name in ("run.gz", "values.json") if (path := folder / name).exists())


def _without_place(collection: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in collection.items() if key != "place"}


def _hashes(store: Store, files: list[Path]) -> dict[str, str]:
    """Path in the study's folder → SHA-256; a file that has its size and time of the last reading is not read again."""
    kept_in = store.folder / "hashes.json"
    kept = read_json(kept_in) if kept_in.exists() else {}
    found = {}
    for path in files:
        name, stat = path.relative_to(store.folder).as_posix(), path.stat()
        known = kept.get(name)
        if known is None or known[:2] != [stat.st_size, stat.st_mtime_ns]:
            with path.open("rb") as stream:
                known = [stat.st_size, stat.st_mtime_ns, hashlib.file_digest(stream, "sha256").hexdigest()]
        found[name] = known
    if found != kept:
        write_json(kept_in, found)
    return {name: digest for name, (_, _, digest) in found.items()}


SCHEMA = pa.schema(
    [
        ("study", pa.string()),
        ("kind", pa.string()),
        ("backbone", pa.string()),
        ("recipe", pa.string()),
        ("seed", pa.int64()),
        ("first_stage", pa.string()),
        ("collection", pa.string()),
        ("query", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
        ("cell", pa.string()),
        ("file", pa.string()),
    ]
)
"""`kind` is "recipe", "first stage" or "teacher"; the latter two are named under recipe, without backbone, seed, cell.
`first_stage` is whose candidates are ranked. `file` is where the value stands, in the study's folder; the run that it
was measured on is `run.gz` beside it."""


def write_values(output: str | Path, path: Path) -> None:
    """Write the values of all finished cells, of the first stage and of the teachers as Parquet.

    Equal values give equal bytes. MissingError where the folder holds no study, DataError for a damaged file in it.
    """
    store = Store(output)
    index = store.read_index()
    with atomic_write(path) as stream, pq.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
        for kind, entry, cell_id, evaluations in _rankers(store, index):
            known = {"study": index["name"], "kind": kind, "cell": cell_id, **entry}
            for collection, key in evaluations.items():
                writer.write_table(_table(store, {**known, "collection": collection}, key, index["measures"]))


def _rankers(store: Store, index: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str | None, dict[str, str]]]:
    """Kind, what it is called, cell and collection → key of its evaluation."""
    own, others = index["first_stage"]["name"], index.get("other_first_stages", ())
    for kind, rankers in (("first stage", [index["first_stage"], *others]), ("teacher", index["teachers"])):
        for ranker in rankers:
            named = {"first_stage": own if kind == "teacher" else ranker["name"]}
            known = {"backbone": None, "recipe": ranker["name"], "seed": None, **named}
            yield kind, known, None, _there(store, None, ranker["evaluations"])
    for cell in index["cells"]:
        if cell_state(store, cell, index["measures"])[0] == "done":
            known = {key: cell[key] for key in ("backbone", "recipe", "seed")}
            yield "recipe", {**known, "first_stage": own}, cell["id"], cell["evaluations"]
            for stage in others:
                evaluations = _there(store, cell["id"], stage["cells"])
                yield "recipe", {**known, "first_stage": stage["name"]}, cell["id"], evaluations


def _there(store: Store, cell_id: str | None, evaluations: dict[str, str]) -> dict[str, str]:
    """Those that are finished."""
    return {name: key for name, key in evaluations.items() if (store.evaluation(cell_id, key) / "values.json").exists()}


def _table(store: Store, known: dict[str, Any], key: str, measures: list[str]) -> pa.Table:
    """The rows of one evaluation."""
    path = store.evaluation(known["cell"], key) / "values.json"
    values = read_json(path)["values"]
    rows = [(query, measure, values[measure][query]) for measure in measures for query in values[measure]]
    known["file"] = path.relative_to(store.folder).as_posix()
    columns: dict[str, Any] = {name: [value] * len(rows) for name, value in known.items()}
    columns["query"], columns["measure"], columns["value"] = zip(*rows, strict=True)
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in SCHEMA], SCHEMA)
