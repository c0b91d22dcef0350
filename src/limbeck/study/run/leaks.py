"""Leaks of a study: test queries and documents in its training lists and in its validation."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.core.errors import LimbeckError
from limbeck.core.files import write_json
from limbeck.core.hashing import key_of
from limbeck.lists import LeakCounts, distinct_queries, document_leaks, positives, query_leaks, relevant_documents
from limbeck.study.config.study import Study
from limbeck.study.run.artifacts import Materials

FORMAT = 1
EXAMPLES = 10
"""Leaks of each kind that are kept with their texts; all are counted."""


@dataclass(frozen=True)
class FoundLeaks:
    """What of a test's queries and relevant documents was found."""

    queries: LeakCounts
    documents: LeakCounts


@dataclass(frozen=True)
class LeakSearch(FoundLeaks):
    """The same, with where it was searched: `kind` is lists or validation; `test` is the collection searched for."""

    kind: str
    name: str
    test: str


def planned_searches(study: Study) -> list[dict[str, str]]:
    """What is searched for what: `kind` (lists or validation), `name`, `test`, and `key`, what it is kept under."""
    config, sources = study.config, study.sources
    used = dict.fromkeys(stage.lists for stages in config.recipes.values() for stage in stages)
    trained = [sources.collection(name).fingerprint for name in config.collections.train]
    searched: list[tuple[str, str, Any]] = [("lists", name, [sources.lists(name), trained]) for name in used]
    if config.validation:
        searched += [
            ("validation", name, sources.collection(name).fingerprint) for name in config.validation.collections
        ]
    return [
        {
            "kind": kind,
            "name": name,
            "test": test,
            "key": key_of([FORMAT, kind, description, sources.collection(test).fingerprint]),
        }
        for kind, name, description in searched
        for test in config.collections.test
    ]


def search_leaks(study: Study, materials: Materials) -> None:
    """Search what was not searched yet, and keep what was found, each under its key.

    What cannot be searched is left out with a warning; the results list it as not searched.
    """
    store, console = materials.store, materials.console
    missing: dict[tuple[str, str], list[dict[str, str]]] = {}
    for search in planned_searches(study):
        if not store.leaks(search["key"]).exists():
            missing.setdefault((search["kind"], search["name"]), []).append(search)
    for (kind, name), searches in missing.items():
        try:
            found = _search(study, materials, kind, name, [search["test"] for search in searches])
        except LimbeckError as error:
            warnings = [f"{kind} {name} was not searched for leaks: {error}"]
        else:
            for search, leaks in zip(searches, found, strict=True):
                write_json(store.leaks(search["key"]), leaks)
            warnings = list(leak_warnings(map(as_search, searches, found)))
        for warning in warnings:
            console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)


def as_search(planned: Mapping[str, str], found: FoundLeaks) -> LeakSearch:
    """What one of the `planned_searches` has found."""
    return LeakSearch(found.queries, found.documents, planned["kind"], planned["name"], planned["test"])


def leak_warnings(searches: Iterable[LeakSearch]) -> Iterator[str]:
    """A sentence for every search that found a test query word for word."""
    for search in searches:
        queries = search.queries
        if queries.exact:
            where = "the training lists" if search.kind == "lists" else "the validation queries of"
            also = f", {queries.near:,} more nearly" if queries.near else ""
            yield (
                f"leak: {queries.exact:,} of {queries.against:,} test queries of {search.test} stand word for "
                f"word in {where} {search.name}{also}"
            )


def _search(study: Study, materials: Materials, kind: str, name: str, tests: list[str]) -> list[FoundLeaks]:
    """What was found of each test."""
    sources = study.sources
    if kind == "validation":
        seen = sources.collection(name)
        queries, passages = list(seen.query_ids), relevant_documents(seen)
    else:
        lists, seen = materials.lists(name), sources.training
        queries, passages = distinct_queries(lists), positives(lists)
    materials.console.print(f"{kind} {name}: searched for leaks", markup=False, highlight=False)
    loaded = [sources.collection(test) for test in tests]
    of_queries = query_leaks(queries, seen.queries, loaded)
    of_documents = document_leaks(passages, seen.documents, loaded)
    return [
        FoundLeaks(one.counts(EXAMPLES), other.counts(EXAMPLES))
        for one, other in zip(of_queries, of_documents, strict=True)
    ]
