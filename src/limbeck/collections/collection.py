"""What a collection is: documents, queries and one split's judgments, under one name. Several merge into one.

And named suites of test collections, with what is known of single ones, from `suites.yaml`.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml

from limbeck.core.errors import DataError, MissingError, UsageError, plural


@dataclass(frozen=True, eq=False, repr=False)
class Collection:
    """Documents, queries and the judgments of one split.

    Attributes:
        name: as the user gave it.
        documents: docid → the text handed to models, title and text joined by a blank as BEIR joins them.
        queries: query id → text, of every query known, whatever its split.
        qrels: query id → docid → grade; this split's judgments, as they are: grades may be 0 or negative (not
            relevant), documents may be ones without text here. Empty where there are none.
        query_ids: the queries of this split in the order of the queries' source: the judged ones, or all of them when
            there are no judgments.
        warnings: what a user should know, one sentence each.
        relevance_level: the smallest grade that counts as relevant in binary measures: 2 for TREC-DL, else 1.
        drop_query_document: whether the document whose id is the query's own is removed from its ranking (ArguAna,
            Quora).
        documents_identity: what stands for the documents in the fingerprint where reading them all would be too dear.
            None: their content does.
        merged: the collections whose texts this one has together.
    """

    name: str
    documents: Mapping[str, str] = field(repr=False)
    queries: Mapping[str, str] = field(repr=False)
    qrels: Mapping[str, Mapping[str, int]] = field(repr=False)
    query_ids: tuple[str, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()
    relevance_level: int = 1
    drop_query_document: bool = False
    documents_identity: str | None = None
    merged: tuple["Collection", ...] = field(default=(), repr=False)

    def measured_as(
        self, relevance: int | None = None, own_document: Literal["remove", "keep"] | None = None
    ) -> "Collection":
        """The same collection under other terms of evaluation; None leaves its own.

        Args:
            relevance: the smallest grade that counts as relevant in binary measures, ≥ 1.
            own_document: whether the document whose id is the query's own is removed from its ranking or kept.
        """
        if relevance is not None and relevance < 1:
            raise UsageError(f"the relevance level is {relevance}; expected a grade of 1 or more")
        return replace(
            self,
            relevance_level=self.relevance_level if relevance is None else relevance,
            drop_query_document=self.drop_query_document if own_document is None else own_document == "remove",
        )

    def __repr__(self) -> str:
        judged = f", {len(self.qrels)} judged" if self.qrels else ", no judgments"
        sizes = f"{plural(len(self.documents), 'document')}, {plural(len(self.query_ids), 'query')}"
        return f"Collection({self.name}: {sizes}{judged})"

    @cached_property
    def documents_fingerprint(self) -> str:
        """16 hex digits of SHA-256 over the documents: what their embeddings depend on."""
        digest = hashlib.sha256()
        self._add_documents(digest)
        return digest.hexdigest()[:16]

    @cached_property
    def texts_fingerprint(self) -> str:
        """16 hex digits of SHA-256 over documents and queries, whatever the split: what tokens depend on."""
        digest = hashlib.sha256()
        self._add_documents(digest)
        _add(digest, "queries", *(piece for item in self.queries.items() for piece in item))
        return digest.hexdigest()[:16]

    @property
    def all_texts_fingerprints(self) -> frozenset[str]:
        """What stands for the texts of this collection, and for those of each that was merged into it."""
        return frozenset(each.texts_fingerprint for each in (self, *self.merged))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over all that can change an outcome; the name is no part of it."""
        digest = hashlib.sha256()
        _add(digest, self.texts_fingerprint, "split", *self.query_ids)
        for query_id in self.query_ids:
            _add(digest, "judged", query_id)
            for docid, grade in sorted(self.qrels.get(query_id, {}).items()):
                _add(digest, docid, grade)
        _add(digest, "measured", self.relevance_level, self.drop_query_document)
        return digest.hexdigest()[:16]

    @cached_property
    def qrels_fingerprint(self) -> str:
        """16 hex digits of SHA-256 over the judgments of this split alone."""
        digest = hashlib.sha256()
        for query_id, judged in sorted(self.qrels.items()):
            _add(digest, "judged", query_id, *(piece for item in sorted(judged.items()) for piece in item))
        return digest.hexdigest()[:16]

    def _add_documents(self, digest: "hashlib._Hash") -> None:
        if self.documents_identity is None:
            _add(digest, "documents", *(piece for item in self.documents.items() for piece in item))
        else:
            _add(digest, "identity", self.documents_identity)


def _add(digest: "hashlib._Hash", *values: object) -> None:
    for value in values:
        piece = str(value).encode()
        # With its length before it, no piece can pass for the end of another.
        digest.update(len(piece).to_bytes(8, "little") + piece)


def merge(collections: Sequence[Collection]) -> Collection:
    """One collection with the documents, queries, splits and judgments of all of them, in their order.

    An id may occur in several of them if it has the same text there; grades of a document judged in several are united,
    and the highest counts. The merged collection is meant for training: measures are taken on each collection alone.
    Its relevance level is the highest, and a query's own document is dropped where any of them drops it.

    Raises:
        UsageError: no collection at all.
        DataError: a query or document with two different texts.
    """
    if not collections:
        raise UsageError("no collections to merge; expected at least one")
    first = collections[0]
    if len(collections) == 1:
        return first
    same_documents = first.documents_identity is not None and all(
        collection.documents_identity == first.documents_identity for collection in collections
    )
    return Collection(
        name=" + ".join(collection.name for collection in collections),
        documents=first.documents if same_documents else _united("document", collections),
        queries=_united("query", collections),
        qrels=_judgments(collections),
        query_ids=tuple(dict.fromkeys(query_id for collection in collections for query_id in collection.query_ids)),
        warnings=tuple(dict.fromkeys(warning for collection in collections for warning in collection.warnings)),
        relevance_level=max(collection.relevance_level for collection in collections),
        drop_query_document=any(collection.drop_query_document for collection in collections),
        documents_identity=first.documents_identity if same_documents else None,
        merged=tuple(collections),
    )


def _united(kind: str, collections: Sequence[Collection]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for collection in collections:
        own = _texts(kind, collection)
        for text_id, text in own.items():
            if texts.setdefault(text_id, text) != text:
                other = next(c for c in collections if _texts(kind, c).get(text_id, text) != text)
                raise DataError(
                    f'{kind} "{text_id}" has one text in {other.name} and another in {collection.name}; expected '
                    f"different ids for different texts: rename the {kind} in one of them, or train on one of them"
                )
    return texts


def _texts(kind: str, collection: Collection) -> Mapping[str, str]:
    return collection.documents if kind == "document" else collection.queries


def _judgments(collections: Sequence[Collection]) -> dict[str, dict[str, int]]:
    united: dict[str, dict[str, int]] = {}
    for collection in collections:
        for query_id, grades in collection.qrels.items():
            of_query = united.setdefault(query_id, {})
            for docid, grade in grades.items():
                of_query[docid] = max(grade, of_query.get(docid, grade))
    return united


@cache
def suites() -> Mapping[str, tuple[str, ...]]:
    """Suite → ids of its members."""
    return {name: tuple(members) for name, members in _data()["suites"].items()}


def expand_suites(names: Sequence[str]) -> list[str]:
    """Collections' names, with each suite's members in its place; what several suites have in common occurs once.

    >>> expand_suites(["trec-dl", "in-domain"])[1:]
    ['msmarco-passage/trec-dl-2020/judged', 'msmarco-passage/dev/small']
    """
    expanded: list[str] = []
    of_suites: set[str] = set()
    for name in names:
        if name in suites():
            expanded += [member for member in suites()[name] if member not in expanded]
            of_suites.update(suites()[name])
        elif name not in of_suites:
            expanded.append(name)
    return expanded


def relevance_level(dataset_id: str) -> int:
    """The smallest grade that counts as relevant in binary measures."""
    return next((level for ids, level in _data()["relevance_levels"].items() if fnmatchcase(dataset_id, ids)), 1)


def has_queries_in_corpus(dataset_id: str) -> bool:
    """Whether the document whose id is the query's own must be left out of its ranking."""
    return any(fnmatchcase(dataset_id, ids) for ids in _data()["queries_in_corpus"])


def require_licensed_corpus(dataset_id: str) -> None:
    """Raise MissingError where a corpus under a licence is not where it must be put by hand."""
    import ir_datasets

    for ids, corpus in _data()["licensed"].items():
        folder = Path(ir_datasets.util.home_path()) / corpus["folder"]
        if fnmatchcase(dataset_id, ids) and not folder.exists():
            raise MissingError(
                f"{dataset_id}: its documents are under a licence and cannot be fetched. Ask for them at "
                f"{corpus['source']} and put them into {folder}, so that it holds {corpus['holds']}"
            )


@cache
def _data() -> Any:
    return yaml.safe_load((files("limbeck.collections") / "suites.yaml").read_text(encoding="utf-8"))
