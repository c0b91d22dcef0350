"""Queries that an LLM writes for documents, for collections that have none (doc2query, InPars)."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.teachers.llm.client import LLMClient, LLMSession, Outcome, RetryResult, Task, in_order, until_usable
from limbeck.teachers.llm.engine import Parsed, parse_query
from limbeck.teachers.llm.prompts import Template, as_data


@dataclass(frozen=True)
class QueryWriting:
    """How documents are put before a writer of queries.

    template   the prompt, which asks for one query
    queries    how many a document gets, each by a call of its own with another seed
    words      most words of a passage
    attempts   how often each is asked for, with another seed each time, until there is one
    """

    template: Template
    queries: int = 1
    words: int = 300
    attempts: int = 3

    def __post_init__(self) -> None:
        for name in ("queries", "words", "attempts"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 1 or more")

    def describe(self) -> dict[str, Any]:
        """All settings as plain values; the template by name and digest."""
        plain = {"queries_per_document": self.queries, "words": self.words, "attempts": self.attempts}
        return {"template": self.template.name, "template_digest": self.template.digest, **plain}


@dataclass
class Queries(Outcome):
    """What came of it.

    queries  docid → the queries that were written for it, each text once
    """

    queries: dict[str, tuple[str, ...]] = field(default_factory=dict)


def write_queries(
    session: LLMSession, collection: Collection, docids: Sequence[str], settings: QueryWriting
) -> Queries:
    """Have queries written for documents. A document for which no answer held one is excluded.

    UsageError for several queries of a document at temperature 0: they would all be one.
    """
    client, outcome = session.client, Queries()
    if settings.queries > 1 and client.engine.parameters.get("temperature") == 0:  # None: as the endpoint sees fit
        raise UsageError(
            f"{settings.queries} queries for each document at temperature 0 would all be one; expected a temperature, "
            "such as --temperature 0.7"
        )

    def tasks(docid: str) -> list[Task[RetryResult[str]]]:
        passage, cut = as_data(collection.documents[docid], settings.words, client.engine.markers)
        outcome.cut += cut
        return [partial(_write_one, docid, passage, settings, client, number) for number in range(settings.queries)]

    def finish(docid: str, written: list[str | None]) -> None:
        outcome.queries[docid] = tuple(dict.fromkeys(query for query in written if query is not None))

    described = {
        "task": "write queries",
        **settings.describe(),
        "collection": collection.name,
        "collection_fingerprint": collection.documents_fingerprint,
        "run": f"of {len(docids)} documents",
    }
    session.run(described, docids, outcome, tasks, finish)
    outcome.queries = in_order(outcome.queries, docids)
    return outcome


def sample_documents(collection: Collection, count: int | None) -> list[str]:
    """Ids of `count` documents, or of all, that have a text, in the collection's order.

    They are those whose ids have the smallest SHA-256: the same ones wherever and in whatever order the documents
    stand, and a larger count holds a smaller one's. DataError where there are fewer.
    """
    docids = [docid for docid, text in collection.documents.items() if text]
    if count is None:
        return docids
    if count > len(docids):
        raise DataError(f"{collection.name}: {len(docids):,} documents have a text, expected {count:,} or more")
    chosen = set(sorted(docids, key=lambda docid: hashlib.sha256(docid.encode()).digest())[:count])
    return [docid for docid in docids if docid in chosen]


def _write_one(docid: str, passage: str, settings: QueryWriting, client: LLMClient, number: int) -> RetryResult[str]:
    """The document's `number`-th query, counted from 0. Raises what `client` raises but CallFailed."""
    messages = settings.template.about(passage)

    def ask(attempt: int) -> Parsed[str]:
        about = {"document": docid, "number": number}
        answer = client(messages, number * settings.attempts + attempt, about)
        return parse_query(answer.text, answer.finish_reason)

    return until_usable(ask, settings.attempts)
