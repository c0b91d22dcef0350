"""Candidates of all queries, and which queries teach: the collection's own, and its documents' sentences."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from limbeck.collections import Collection, load_collection
from limbeck.collections.load import SUFFIX, split_folds
from limbeck.core.errors import DataError, UsageError, plural
from limbeck.core.json_files import key_of
from limbeck.distil import budget
from limbeck.distil.budget import Rates, Teaching
from limbeck.distil.roles import DEALT, DEALT_TEST, Roles
from limbeck.retrieval import BM25
from limbeck.runs import Run, read_run, write_run
from limbeck.runs.metadata import write_metadata


def run_file(key: str, name: str, depth: int) -> Path:
    """Where BM25's candidates of a collection are kept, in the folder of the distillation."""
    return Path("runs") / f"{key}-{key_of([name, depth], 6)}.run.gz"


def find_candidates(names: Mapping[str, str], output: Path, depth: int, console: Console) -> dict[str, Run]:
    """BM25's candidates of collections with the same documents, each kept as a run. DataError where there are none."""
    paths = {key: output / run_file(key, name, depth) for key, name in names.items()}
    if not all(path.exists() for path in paths.values()):
        loaded = {key: load_collection(name) for key, name in names.items()}
        queries = {query_id: each.queries[query_id] for each in loaded.values() for query_id in each.query_ids}
        console.print(f"BM25: {depth} candidates for {plural(len(queries), 'query')}", highlight=False)
        first = next(iter(loaded.values()))
        found = BM25().retrieve(replace(first, queries=queries, query_ids=tuple(queries)), depth)
        for key, each in loaded.items():
            part = part_of(found, each)
            if not any(map(len, part.values())):
                raise DataError(
                    f"{names[key]}: BM25 finds no document for any of {plural(len(each.query_ids), 'query')}; expected "
                    "queries that share words with the documents"
                )
            keep_run(part, paths[key], names[key], depth)
    return {key: read_run(path) for key, path in paths.items()}


def keep_run(run: Run, path: Path, collection: str, depth: int) -> None:
    """Write BM25's candidates, and beside them what they are. MissingError where nothing can be written."""
    write_run(run, path)
    write_metadata(path, run.tag, collection, {"method": "bm25", "depth": depth})


def part_of(run: Run, collection: Collection) -> Run:
    """The rankings of a collection's queries."""
    return replace(run, rankings={query_id: run[query_id] for query_id in collection.query_ids if query_id in run})


def documents_of(runs: Mapping[str, Run], depth: int | None = None) -> frozenset[str]:
    """The different documents among the first `depth` of runs."""
    return frozenset(docid for run in runs.values() for ranking in run.values() for docid in ranking.docids[:depth])


def relevant_documents(name: str) -> frozenset[str]:
    """Documents that are judged relevant, which the teacher scores even if BM25 missed them."""
    qrels = load_collection(name).qrels
    return frozenset(docid for grades in qrels.values() for docid, grade in grades.items() if grade > 0)


def one_of_test(roles: Roles, share: int) -> str:
    """The name of one of so many test queries, two or more."""
    if roles.test == f"{roles.place}/test":
        return f"{roles.test}@1/{share}"
    first = DEALT_TEST[1] + 1 - max(1, (DEALT_TEST[1] + 1 - DEALT_TEST[0]) // share)
    return f"{roles.place}@{first}-{DEALT_TEST[1]}/{DEALT}"


def training_names(roles: Roles, minutes: float, found: Rates, console: Console) -> tuple[str, ...]:
    """Names of collections whose queries teach, about as many as are of use: its own, and the documents' sentences."""
    known = len(load_collection(f"{roles.queries}@{roles.first}-{roles.last}/{roles.folds}").query_ids)
    if roles.kind == "documents":
        return (roles.training(known, budget.training_queries(minutes, found, budget.PAIRS_OF_SENTENCE)),)
    own = roles.training(known, budget.training_queries(minutes, found))
    name = f"{roles.place}{SUFFIX}"
    try:
        sentences = len(load_collection(name).query_ids)
    except UsageError as error:
        console.print(f"no sentences teach: {error}", highlight=False, markup=False, soft_wrap=True)
        return (own,)
    wanted = budget.training_queries(minutes, found, budget.PAIRS_OF_SENTENCE, known)
    parts = max(1, round(sentences / wanted))
    return own, name if parts == 1 else f"{name}@1/{parts}"


def teachings_of(
    train: tuple[str, ...], taught: Mapping[str, Run], held: frozenset[str], relevant: frozenset[str]
) -> list[Teaching]:
    """What the teacher could be asked, the most first.

    Args:
        train: names of collections, as `training_names` gives them.
        taught: their candidates.
        held: documents that are embedded in any case.
        relevant: those that the teacher scores even if they are no candidates.
    """
    choices = budget.WITH_SENTENCES if len(train) > 1 else [(depth, 0) for depth in budget.LIST_DEPTHS]
    sentences = {0: Run("none", {})}
    found = []
    for depth, share in choices:
        if share and len(taught["train-2"]) < share * budget.LISTS_PER_STEP:
            continue
        if share not in sentences:
            sentences[share] = part_of(taught["train-2"], load_collection(one_in(train[1], share)))
        documents = documents_of({"own": taught["train-1"], "sentences": sentences[share]}, depth)
        found.append(
            Teaching(
                depth=depth, share=share, sentences=len(sentences[share]), documents=len((relevant | documents) - held)
            )
        )
    return found


def one_in(name: str, share: int) -> str:
    """The name of one of so many queries of a collection, or of its first fold."""
    whole, folds = split_folds(name)
    count = share * (folds.count if folds else 1)
    return f"{whole}@1/{count}" if count > 1 else whole
