"""Every value of a study as one tidy table: one row per ranker, seed, collection, query and measure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.core.files import atomic_write
from limbeck.study.run.status import cell_state
from limbeck.study.run.store import Store, read_json

SCHEMA = pa.schema(
    [
        ("study", pa.string()),
        ("kind", pa.string()),
        ("backbone", pa.string()),
        ("recipe", pa.string()),
        ("seed", pa.int64()),
        ("collection", pa.string()),
        ("query", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
        ("cell", pa.string()),
        ("file", pa.string()),
    ]
)
"""`kind` is "recipe", "first stage" or "teacher"; the latter two are named under recipe, without backbone, seed, cell.
`file` is where the value stands, in the study's folder; the run that it was measured on is `run.gz` beside it."""


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
    for kind, rankers in (("first stage", [index["first_stage"]]), ("teacher", index["teachers"])):
        for ranker in rankers:
            yield kind, {"backbone": None, "recipe": ranker["name"], "seed": None}, None, ranker["evaluations"]
    for cell in index["cells"]:
        if cell_state(store, cell, index["measures"])[0] == "done":
            yield "recipe", {key: cell[key] for key in ("backbone", "recipe", "seed")}, cell["id"], cell["evaluations"]


def _table(store: Store, known: dict[str, Any], key: str, measures: list[str]) -> pa.Table:
    """The rows of one evaluation."""
    path = store.evaluation(known["cell"], key) / "values.json"
    values = read_json(path)["values"]
    rows = [(query, measure, values[measure][query]) for measure in measures for query in values[measure]]
    known["file"] = path.relative_to(store.folder).as_posix()
    columns: dict[str, Any] = {name: [value] * len(rows) for name, value in known.items()}
    columns["query"], columns["measure"], columns["value"] = zip(*rows, strict=True)
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in SCHEMA], SCHEMA)
