"""The query explorer's data: what every system made of the queries that systems disagree on most."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limbeck.collections import Collection, load_collection
from limbeck.core.errors import LimbeckError
from limbeck.study.run.evaluations import SHOWN, read_head
from limbeck.study.run.status import cell_state
from limbeck.study.run.store import Store, read_json

QUERIES = 400
"""Queries over all collections, shared evenly: what keeps a page with 55 systems and their passages at a few MB."""
TEXT = 500  # letters of a passage


@dataclass(frozen=True)
class _System:
    """A ranker as the page names it, and where its evaluations lie: collection → key."""

    facts: dict[str, Any]
    owner: str | None
    evaluations: Mapping[str, str]


def explore(output: str | Path) -> dict[str, Any]:
    """The rankings of the first stage, the teachers and every recipe's first finished seed, side by side.

    Returns:
        `measure` and `shown` (passages per ranking); `systems`, each with `kind`, `name`, `backbone` and `seed`;
        `collections`, each with `name`, `total` (judged queries) and `queries`. A query has `id`, `text`, `values` (one
        per system), `documents` (`id`, `grade`, `text`) and `rankings`: per system the places in `documents` of its
        best passages. What cannot be shown is left out, and `warnings` say why.

    Raises:
        MissingError: the folder holds no study.
        DataError: a file in it is damaged.
    """
    store = Store(output)
    index = store.read_index()
    systems = list(_systems(store, index))
    collections, warnings = [], []
    for each in index["collections"]:
        try:
            collections.append(_explore(store, systems, each, index["measures"][0], len(index["collections"])))
        except LimbeckError as error:
            warnings.append(f"no queries of {each['name']} can be shown: {error}")
    return {
        "measure": index["measures"][0],
        "shown": SHOWN,
        "systems": [system.facts for system in systems],
        "collections": collections,
        "warnings": warnings,
    }


def choose_queries(values: Sequence[Mapping[str, float]], limit: int) -> list[str]:
    """The queries whose best and worst system (each query id → value) lie furthest apart, at most `limit`."""
    spread = {query: max(of[query] for of in values) - min(of[query] for of in values) for query in values[0]}
    return sorted(spread, key=lambda query: (-spread[query], query))[:limit]


def _systems(store: Store, index: Mapping[str, Any]) -> Iterator[_System]:
    for kind, given in (("first stage", [index["first_stage"]]), ("teacher", index["teachers"])):
        for one in given:
            yield _System({"kind": kind, "name": one["name"], "backbone": None, "seed": None}, None, one["evaluations"])
    seen = set()
    for cell in index["cells"]:
        name = cell["backbone"], cell["recipe"]
        if name not in seen and cell_state(store, cell, index["measures"])[0] == "done":
            seen.add(name)
            facts = {"kind": "recipe", "name": cell["recipe"], "backbone": cell["backbone"], "seed": cell["seed"]}
            yield _System(facts, cell["id"], cell["evaluations"])


def _explore(
    store: Store, systems: Sequence[_System], place: Mapping[str, Any], measure: str, collections: int
) -> dict[str, Any]:
    name = place["name"]
    folders = [store.evaluation(system.owner, system.evaluations[name]) for system in systems]
    values = [read_json(folder / "values.json")["values"][measure] for folder in folders]
    chosen = choose_queries(values, max(1, QUERIES // collections))
    collection = load_collection(place["place"])
    heads: dict[str, list[tuple[str, ...]]] = {query: [] for query in chosen}
    for folder in folders:
        run = read_head(folder)
        for query, rankings in heads.items():
            ranking = run.get(query)
            rankings.append(ranking.docids[:SHOWN] if ranking else ())
    return {
        "name": name,
        "total": len(values[0]),
        "queries": [_query(collection, query, heads[query], [of[query] for of in values]) for query in chosen],
    }


def _query(
    collection: Collection, query: str, heads: Sequence[Sequence[str]], values: Sequence[float]
) -> dict[str, Any]:
    places = {docid: place for place, docid in enumerate(dict.fromkeys(docid for head in heads for docid in head))}
    grades = collection.qrels.get(query, {})
    return {
        "id": query,
        "text": collection.queries[query],
        "values": [round(value, 4) for value in values],
        "rankings": [[places[docid] for docid in head] for head in heads],
        "documents": [{"id": docid, "grade": grades.get(docid), "text": _text(collection, docid)} for docid in places],
    }


def _text(collection: Collection, docid: str) -> str:
    text = collection.documents.get(docid, "")
    return text if len(text) <= TEXT else f"{text[:TEXT].rstrip()}…"
