"""One ranker on one test collection: its run and every query's values, and what they are kept under."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from limbeck.collections import Collection
from limbeck.core.files import write_json
from limbeck.core.json_files import key_of
from limbeck.evaluation import canonical, measure_run
from limbeck.runs import Run, read_run, write_run
from limbeck.study.config.study import Study
from limbeck.study.plan.plan import evaluation_description
from limbeck.study.run.store import read_json

SHOWN = 10
"""Passages of each query that are kept apart in `head.gz`: whole runs of a large study take an hour to read."""


def first_stage_key(study: Study, collection: str, first_stage: str | None = None) -> str:
    """What a first stage's evaluation is kept under; the study's own, or another one."""
    return key_of(evaluation_description(study.sources, collection, first_stage, ranker="first stage"))


def teacher_key(study: Study, teacher: str, collection: str) -> str:
    """What a teacher's evaluation is kept under."""
    # No scale changes a ranking.
    ranker = {key: value for key, value in study.sources.teacher(teacher).items() if key != "scale"}
    return key_of(evaluation_description(study.sources, collection, ranker=ranker))


def cell_key(study: Study, collection: str, first_stage: str | None = None) -> str:
    """What each cell's evaluation on a first stage's candidates is kept under, in the cell's folder."""
    return key_of(_cell_evaluation(study, collection, first_stage))


def ranking_key(study: Study, collection: str, first_stage: str | None = None) -> str:
    """Stands for all that decides the scores of a cell's evaluation, which its depth does not."""
    described = _cell_evaluation(study, collection, first_stage)
    return key_of({name: value for name, value in described.items() if name != "depth"})


def _cell_evaluation(study: Study, collection: str, first_stage: str | None) -> dict[str, Any]:
    precision = study.config.evaluation.precision
    return evaluation_description(study.sources, collection, first_stage, precision=precision)


def evaluate(
    folder: Path, collection: Collection, measures: list[str], make_run: Callable[[], Run], ranking: str, depth: int
) -> dict[str, Any]:
    """The values of a run on a collection, from `folder` where they are there already.

    The run is made only if `folder` does not hold it, so that another measure costs no more re-ranking.

    Args:
        ranking, depth: kept beside the values, for `deeper_run`.

    Returns:
        what `values.json` holds: `values` (measure → query id → value), the counts `queries`, `scored`, `missing` and
        `short` (see `limbeck.evaluation.Evaluation`), `ranking` and `depth`.
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
            "ranking": ranking,
            "depth": depth,
            "values": {**kept["values"], **found.values},
        }
        write_json(path, kept)
    return kept


def deeper_run(folder: Path, ranking: str, depth: int) -> tuple[int, Run] | None:
    """The run of a deeper evaluation of the same ranker, and its depth, from `folder`'s neighbours; None without one.

    Args:
        folder: of the evaluation that is wanted.
        ranking: the key of all that decides what a pair scores, which an evaluation's depth does not.
    """
    for path in sorted(folder.parent.glob("*/values.json")):
        kept = read_json(path)
        if kept.get("ranking") == ranking and kept["depth"] > depth and path.with_name("run.gz").exists():
            return kept["depth"], read_run(path.with_name("run.gz"))
    return None


def scored_before(collection: Collection, candidates: Run, deeper: Run) -> Run | None:
    """The candidates of the collection's queries, ranked by the scores that they have in a deeper run.

    None where one of them has none there: a fusion finds others first when it looks deeper.
    """
    scores: dict[str, dict[str, float]] = {}
    for query_id in collection.query_ids:
        docids = candidates[query_id].docids if query_id in candidates else ()
        if collection.drop_query_document:
            docids = tuple(docid for docid in docids if docid != query_id)
        if not docids:
            continue
        ranked = deeper.get(query_id)
        known = dict(zip(ranked.docids, ranked.scores.tolist(), strict=True)) if ranked else {}
        if not known.keys() >= set(docids):
            return None
        scores[query_id] = {docid: known[docid] for docid in docids}
    return Run.from_scores("rerank", scores)


def read_head(folder: Path) -> Run:
    """The first `SHOWN` passages of every query; more where an older limbeck kept the whole run alone."""
    head = folder / "head.gz"
    return read_run(head if head.exists() else folder / "run.gz")


def evaluation_files(folder: Path) -> list[Path]:
    """The files that an evaluation consists of."""
    return [folder / "run.gz", folder / "values.json"]
