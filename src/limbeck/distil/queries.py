"""Which queries of a collection teach, which choose, and which tell the truth; and BM25's candidates of them.

Its own queries teach, and its documents' sentences.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from limbeck.collections import Collection, load_collection
from limbeck.collections.load import DEMO, SUFFIX, is_local, load_documents, split_folds, without_suffixes
from limbeck.core.errors import DataError, MissingError, UsageError, plural
from limbeck.core.json_files import key_of
from limbeck.distil import budget
from limbeck.distil.budget import Rates, Teaching
from limbeck.retrieval import BM25
from limbeck.runs import Run, read_run, write_run
from limbeck.runs.metadata import write_metadata

Kind = Literal["judged", "queries", "documents"]

FEWEST_JUDGED = 20
"""Judged queries below which nothing can be chosen or said by judgments."""

FEWEST_QUERIES = 10
"""Queries without judgments below which the documents' sentences take their place."""

DEALT, DEALT_VALID, DEALT_TRAIN, DEALT_TEST = 10, (1, 2), (3, 6), (7, 10)
"""Folds of judged queries that are of one split, and the first and last of those that choose, teach and test."""

CHOOSING = 200
"""Queries that choose; as many as this where there are five times as many."""

AGREEING = 100
"""Queries on which agreement with the teacher is measured, where no judgments are."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The parts that a collection's queries play. No query plays two.

    Attributes:
        place: the collection, a folder by its absolute path.
        kind: whether held-out queries have judgments, or only texts, or are the documents' own sentences.
        queries: the name whose folds `first` to `last` of `folds` teach.
        valid: chooses.
        test: tells the truth; None without judgments.
    """

    place: str
    kind: Kind
    queries: str
    folds: int
    first: int
    last: int
    valid: str
    test: str | None

    def training(self, known: int, wanted: int) -> str:
        """The name of at most about `wanted` of the training queries, of which there are `known`."""
        count = self.last - self.first + 1
        kept = min(count, max(1, round(count * wanted / max(1, known))))
        last = self.first + kept - 1
        return f"{self.queries}@{self.first}-{last}/{self.folds}" if kept > 1 else self._fold(self.first)

    def _fold(self, number: int) -> str:
        return f"{self.queries}@{number}/{self.folds}"


def roles_of(collection: str) -> Roles:
    """Deal a collection's queries.

    Where there are the splits train and test, a part of train chooses and test is test. Judged queries of one split are
    dealt in ten folds: two choose, four teach, four test. Of queries without judgments, some are held out; where there
    are no queries, the documents' sentences take their place.

    Raises:
        UsageError: a name that ends in folds or sentences already.
        DataError: judgments of too few queries.
        LimbeckError: what `load_collection` raises.
    """
    if without_suffixes(collection) != collection:
        raise UsageError(f"{collection}: distil deals the queries itself; expected {without_suffixes(collection)}")
    is_folder = is_local(collection) and collection.split("/")[0] != DEMO
    place = os.path.abspath(os.path.expanduser(collection)) if is_folder else collection
    splits = _splits(place)
    if splits:
        train, _ = splits
        folds = max(5, -(-len(train.query_ids) // CHOOSING))
        return _roles(place, "judged", f"{place}/train", folds, f"{place}/test")
    found = load_documents(place)
    if len(found.qrels) >= FEWEST_JUDGED:
        valid, test = (f"{place}@{first}-{last}/{DEALT}" for first, last in (DEALT_VALID, DEALT_TEST))
        return Roles(
            place=place, kind="judged", queries=place, folds=DEALT, first=DEALT_TRAIN[0], last=DEALT_TRAIN[1],
            valid=valid, test=test,
        )  # fmt: skip
    if found.qrels:
        raise DataError(
            f"{place}: {plural(len(found.qrels), 'judged query')} cannot teach, choose and tell the truth; expected "
            f"{FEWEST_JUDGED} or more, or none (without judgments, agreement with the teacher is told)"
        )
    if len(found.query_ids) >= FEWEST_QUERIES:
        return _roles(place, "queries", place, max(5, -(-len(found.query_ids) // AGREEING)))
    name = f"{place}{SUFFIX}"
    return _roles(place, "documents", name, max(5, -(-len(load_collection(name).query_ids) // AGREEING)))


def _roles(place: str, kind: Kind, queries: str, folds: int, test: str | None = None) -> Roles:
    return Roles(
        place=place, kind=kind, queries=queries, folds=folds, first=2, last=folds, valid=f"{queries}@1/{folds}",
        test=test,
    )  # fmt: skip


def _splits(place: str) -> tuple[Collection, Collection] | None:
    try:
        found = load_collection(f"{place}/train"), load_collection(f"{place}/test")
    except (UsageError, MissingError):
        return None
    return found if all(len(each.qrels) >= FEWEST_JUDGED for each in found) else None


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
