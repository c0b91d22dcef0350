"""One ranker on one test collection: its run and every query's values, kept so that each is computed once."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from limbeck.collections import Collection
from limbeck.core.files import write_json
from limbeck.evaluation import canonical, measure_run
from limbeck.runs import Run, read_run, write_run
from limbeck.study.run.store import read_json

SHOWN = 10
"""Passages of each query that are kept apart in `head.gz`: whole runs of a large study take an hour to read."""


def evaluate(folder: Path, collection: Collection, measures: list[str], make_run: Callable[[], Run]) -> dict[str, Any]:
    """The values of a run on a collection, from `folder` where they are there already.

    The run is made only if `folder` does not hold it, so that another measure costs no more re-ranking.

    Returns:
        what `values.json` holds: `values` (measure → query id → value), and the counts `queries`, `scored`, `missing`
        and `short` (see `limbeck.evaluation.Evaluation`).
    """
    path = folder / "values.json"
    wanted = [canonical(measure) for measure in measures]
    kept: dict[str, Any] = read_json(path) if path.exists() else {"values": {}}
    absent = [measure for measure in wanted if measure not in kept["values"]]
    run_file = folder / "run.gz"
    if absent or not run_file.exists():
        if not run_file.exists():
            write_run(make_run(), run_file)
            absent = wanted
        run = read_run(run_file)
        write_run(run.cut(SHOWN), folder / "head.gz")
        found = measure_run(collection, run, absent)
        kept = {
            "collection": collection.name,
            "queries": found.queries,
            "scored": found.scored,
            "missing": len(found.missing),
            "short": len(found.short),
            "values": {**kept["values"], **found.values},
        }
        write_json(path, kept)
    return kept


def read_head(folder: Path) -> Run:
    """The first `SHOWN` passages of every query; more where an older limbeck kept the whole run alone."""
    head = folder / "head.gz"
    return read_run(head if head.exists() else folder / "run.gz")


def evaluation_files(folder: Path) -> list[Path]:
    """The files that an evaluation consists of."""
    return [folder / "run.gz", folder / "values.json"]


def means(kept: Mapping[str, Any], measures: Sequence[str]) -> dict[str, float]:
    """Measure → mean over all judged queries."""
    return {
        measure: sum(kept["values"][measure].values()) / len(kept["values"][measure])
        for measure in map(canonical, measures)
    }
