"""Candidates made fit to be lists: cut, with texts, with what the judgments say of them, and easy negatives behind."""

import hashlib
from collections import Counter
from collections.abc import Collection as Container
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError, nearest
from limbeck.lists.lists import TEXTS_KEY, Lists
from limbeck.runs import Run

NO_ID = "\n"
"""What begins the id of a text that a collection has not; no id of its own does."""


def check_depth(depth: int | None) -> None:
    """Raise UsageError for a depth that is none."""
    if depth is not None and depth < 1:
        raise UsageError(f"depth is {depth}, expected 1 or more passages, or none for all")


def require_judgments(collection: Collection) -> None:
    """Raise DataError for a collection that has none to take labels from."""
    if not collection.qrels:
        raise DataError(
            f"collection {collection.name} has no judgments, expected some to take labels from; "
            "name a split that has them, or do not ask for labels"
        )


def judged_labels(collection: Collection, query_id: str, passages: Sequence[str]) -> list[float]:
    """The grades of passages [passages]; those without a judgment and negative grades count as 0."""
    grades = collection.qrels.get(query_id, {})
    return [float(max(grades.get(passage, 0), 0)) for passage in passages]


def missing_positives(collection: Collection, query_id: str, passages: Sequence[str]) -> list[str]:
    """Passages with a grade above 0 that are not among `passages`, best grade first; never the query's own document."""
    present = {*passages, query_id} if collection.drop_query_document else set(passages)
    grades = collection.qrels.get(query_id, {})
    best_first = sorted(grades.items(), key=lambda judged: (-judged[1], judged[0]))
    return [passage for passage, grade in best_first if grade > 0 and passage not in present]


class CorpusNegatives:
    """Draws `count` passages for a query; they depend on its id, the documents' order and what is excluded alone.

    A drawn passage is none of those given, not judged relevant and not the query's own document. It may be relevant all
    the same, where nobody has judged it: the less likely, the larger the collection.
    """

    def __init__(self, collection: Collection, count: int) -> None:
        self.collection, self.count = collection, count

    @cached_property
    def _docids(self) -> list[str]:
        return list(self.collection.documents)

    def draw(self, query_id: str, present: Container[str]) -> list[str]:
        """`count` passages that are not `present`, in the order drawn. DataError where there are not so many."""
        grades = self.collection.qrels.get(query_id, {})
        excluded = {*present, *(passage for passage, grade in grades.items() if grade > 0)}
        if self.collection.drop_query_document:
            excluded.add(query_id)
        if self.count + len(excluded) > len(self._docids):
            raise DataError(
                f"{self.count} corpus negatives for query {query_id}: {self.collection.name} has {len(self._docids)} "
                f"documents, {len(excluded)} of which are candidates or relevant; expected fewer"
            )
        seed = int.from_bytes(hashlib.sha256(query_id.encode()).digest()[:16], "little")
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
        drawn: dict[str, None] = {}
        while len(drawn) < self.count:
            passage = self._docids[int(random.integers(len(self._docids)))]
            if passage not in excluded:
                drawn[passage] = None
        return list(drawn)


@dataclass(frozen=True)
class Candidates:
    """What of a query's passages stays, and what is put behind them; counts what is left out and added.

    Attributes:
        collection: passages stay that have a text, and are not the query's own document where that is to be dropped.
        depth: the first so many passages of a query.
        add_positives: judged passages with a grade above 0 that are not there are added, best grade first.
        corpus_negatives: passages of the whole collection put behind all others.
        check_texts: whether passages without a text are left out.
        unit: of what `counts` tells how many lack passages or judgments.
        counts: of passages and positives, by what became of them.
    """

    collection: Collection
    depth: int | None = None
    add_positives: bool = False
    corpus_negatives: int = 0
    check_texts: bool = True
    unit: Literal["queries", "lists"] = "queries"
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        check_depth(self.depth)

    def chosen(self, query_id: str, passages: Sequence[str]) -> list[int]:
        """The places, ascending, of the passages that stay."""
        dropped = query_id if self.collection.drop_query_document else None
        kept = [place for place, passage in enumerate(passages) if passage != dropped][: self.depth]
        there = [place for place in kept if self._is_there(passages[place])]
        if self.check_texts or len(there) < len(kept):
            self.counts["passages_without_text"] += len(kept) - len(there)
        return there

    def added(self, query_id: str, passages: Sequence[str]) -> list[str]:
        """What is put behind the passages that stayed; nothing where there would be easy negatives alone."""
        found: list[str] = []
        if self.add_positives:
            missing = missing_positives(self.collection, query_id, passages)
            found = [passage for passage in missing if self._is_there(passage)]
            self.counts["positives_without_text"] += len(missing) - len(found)
            self.counts["positives_added"] += len(found)
        if self.corpus_negatives and (passages or found):
            found += self._easy.draw(query_id, [*passages, *found])
        return found

    def labels(self, query_id: str, passages: Sequence[str]) -> list[float]:
        """The judgments' grades [passages]; a query without any is counted."""
        self.counts[f"{self.unit}_without_judgments"] += not self.collection.qrels.get(query_id)
        return judged_labels(self.collection, query_id, passages)

    @cached_property
    def _easy(self) -> CorpusNegatives:
        return CorpusNegatives(self.collection, self.corpus_negatives)

    def _is_there(self, passage: str) -> bool:
        return not passage.startswith(NO_ID) and (not self.check_texts or passage in self.collection.documents)


def lists_from_run(
    collection: Collection,
    run: Run,
    depth: int | None = None,
    *,
    labels: bool,
    order: bool,
    add_missing_positives: bool = True,
    corpus_negatives: int = 0,
) -> Lists:
    """One list for each query of the collection's split that the run ranks, in the split's order, rank 1 first.

    depth   only the run's first `depth` passages of a query
    labels  the grades in `collection.qrels`; passages without a judgment and negative grades count as 0
    order   the run's ranks as teacher order: n for the first of n passages, 1 for the last
    add_missing_positives  with labels and without order, judged passages with a grade above 0 that the list lacks are
            put at its end, best grade first. They have no place in an order, so with order they are left out.

    corpus_negatives  so many passages drawn from the whole collection, put behind all others, with label 0; with labels
            and without order

    Passages whose text the collection lacks are left out. Metadata counts what was left out or added:
    passages_without_text, queries_without_passages (a list of which nothing was left), queries_outside_split (known to
    the collection, not of this split), queries_without_ranking, and with labels queries_without_judgments,
    positives_added and positives_without_text.

    DataError for a query of the run that the collection does not know, for labels of a collection without judgments,
    and where no list is left.
    """
    if corpus_negatives and (order or not labels):
        raise UsageError("corpus_negatives have neither rank nor teacher's place; expected labels, and no order")
    if labels:
        require_judgments(collection)
    candidates = Candidates(
        collection, depth, add_positives=labels and add_missing_positives and not order,
        corpus_negatives=corpus_negatives,
    )  # fmt: skip
    counts = candidates.counts
    _check_queries(collection, run)
    query_ids: list[str] = []
    passage_ids: list[list[str]] = []
    label_lists: list[np.ndarray] = []
    for query_id in collection.query_ids:
        if query_id not in run:
            counts["queries_without_ranking"] += 1
            continue
        docids = run[query_id].docids
        passages = [docids[place] for place in candidates.chosen(query_id, docids)]
        passages += candidates.added(query_id, passages)
        if not passages:
            counts["queries_without_passages"] += 1
            continue
        query_ids.append(query_id)
        passage_ids.append(passages)
        if labels:
            label_lists.append(np.array(candidates.labels(query_id, passages), dtype=np.float32))
    counts["queries_outside_split"] = len(run) - len(collection.query_ids) + counts["queries_without_ranking"]
    if not query_ids:
        raise DataError(
            f"run {run.name} and collection {collection.name} have no list in common: expected rankings with texts for "
            f"the queries of this split ({counts['queries_outside_split']} of {len(run)} are of another)"
        )
    return Lists(
        query_ids,
        passage_ids,
        labels=label_lists if labels else None,
        teacher_order=[np.arange(len(p), 0, -1, dtype=np.float32) for p in passage_ids] if order else None,
        metadata=_metadata(collection, run, depth, labels, order, counts)
        | ({"corpus_negatives": str(corpus_negatives)} if corpus_negatives else {}),
    )


def _check_queries(collection: Collection, run: Run) -> None:
    unknown = [query_id for query_id in run if query_id not in collection.queries]
    if unknown:
        raise DataError(
            f"run {run.name}: {len(unknown)} of its {len(run)} queries are not in collection {collection.name}, the "
            f'first is "{unknown[0]}"{nearest(unknown[0], collection.queries)}; is it a run of another collection?'
        )


def _metadata(
    collection: Collection, run: Run, depth: int | None, labels: bool, order: bool, counts: Counter[str]
) -> dict[str, str]:
    metadata = {
        "collection": collection.name,
        "collection_fingerprint": collection.fingerprint,
        TEXTS_KEY: collection.texts_fingerprint,
        "run": run.name,
        "run_fingerprint": run.fingerprint,
        "depth": "all" if depth is None else str(depth),
    }
    if labels:
        metadata["labels_from"] = f"judgments of {collection.name}"
    if order:
        metadata |= {"teacher": run.name, "order_from": "run"}
    counted = ["passages_without_text", "queries_without_passages", "queries_outside_split", "queries_without_ranking"]
    if labels:
        counted += ["queries_without_judgments", "positives_added", "positives_without_text"]
    return metadata | {name: str(counts[name]) for name in counted}
