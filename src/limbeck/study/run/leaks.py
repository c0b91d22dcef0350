"""Leaks of a study: test queries and documents in its training lists and in its validation."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.core.files import write_json
from limbeck.core.json_files import key_of
from limbeck.core.progress import say
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

    @property
    def where(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def parts(self) -> list[tuple[str, LeakCounts]]:
        """What was searched for, with what was found."""
        return [("queries", self.queries), ("relevant documents", self.documents)]


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


def search_leaks(study: Study, materials: Materials, kind: str, name: str) -> list[Path]:
    """Search a list source's lists, or a validation collection, for test queries and documents, unless that was done.

    Returns:
        the files with what was found, one for each test collection.

    Raises LimbeckError for what cannot be searched; the results list it as not searched.
    """
    store = materials.store
    planned = [search for search in planned_searches(study) if (search["kind"], search["name"]) == (kind, name)]
    missing = [search for search in planned if not store.leaks(search["key"]).exists()]
    if missing:
        found = _search(study, materials, kind, name, [search["test"] for search in missing])
        for search, leaks in zip(missing, found, strict=True):
            write_json(store.leaks(search["key"]), leaks)
        for warning in leak_warnings(map(as_search, missing, found)):
            say(materials.console, f"warning: {warning}")
    return [store.leaks(search["key"]) for search in planned]


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
    say(materials.console, f"{kind} {name}: searched for leaks")
    loaded = [sources.collection(test) for test in tests]
    of_queries = query_leaks(queries, seen.queries, loaded)
    of_documents = document_leaks(passages, seen.documents, loaded)
    return [
        FoundLeaks(one.counts(EXAMPLES), other.counts(EXAMPLES))
        for one, other in zip(of_queries, of_documents, strict=True)
    ]
