"""What a collection is: documents, queries and one split's judgments, under one name."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from limbeck.core.errors import UsageError


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
        return f"Collection({self.name}: {len(self.documents)} documents, {len(self.query_ids)} queries{judged})"

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
