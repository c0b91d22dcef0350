"""Small generated training lists, written in every published format exactly as its real files are."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from limbeck.collections import Collection
from limbeck.lists import Lists, write_lists

PASSAGES = 12


@dataclass(frozen=True)
class Ranked:
    """A query and some passages, the best first by a teacher's scores, most of the judged ones above the others."""

    query_id: str
    passages: list[str]
    scores: list[float]
    relevant: frozenset[str]

    @property
    def positive(self) -> tuple[str, float]:
        """The first relevant passage and its score."""
        return next(pair for pair in self.scored if pair[0] in self.relevant)

    @property
    def negatives(self) -> list[tuple[str, float]]:
        return [pair for pair in self.scored if pair[0] not in self.relevant]

    @property
    def scored(self) -> list[tuple[str, float]]:
        return list(zip(self.passages, self.scores, strict=True))


def rankings(collection: Collection) -> list[Ranked]:
    """A ranking of each of the split's queries, judged passages among them; the same on every call."""
    draw = Random(collection.name)
    ids = list(collection.documents)
    found = []
    for query_id in collection.query_ids:
        relevant = [docid for docid, grade in collection.qrels.get(query_id, {}).items() if grade > 0]
        relevant = relevant[: PASSAGES // 2] or draw.sample(ids, 1)
        others = [docid for docid in draw.sample(ids, min(2 * PASSAGES, len(ids))) if docid not in relevant]
        scores = {docid: draw.gauss(3, 1) for docid in relevant}
        scores |= {docid: draw.gauss(-3, 2) for docid in others[: PASSAGES - len(relevant)]}
        ranked = sorted(scores.items(), key=lambda item: -item[1])
        passages, values = [docid for docid, _ in ranked], [round(score, 4) for _, score in ranked]
        found.append(Ranked(query_id, passages, values, frozenset(relevant)))
    return found


def write_published(form: str, collection: Collection, signals: frozenset[str], path: Path) -> None:
    """Write a file of a published format, or `limbeck` lists; gzipped or Parquet as its name says.

    Args:
        signals: what the study trains on, where a format has several shapes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    found = rankings(collection)
    if form == "limbeck":
        write_lists(_ready(found), path)
    elif form == "sentence-transformers":
        pq.write_table(_hub_set(found, signals), path)
    elif form == "rank-distillm" and path.suffix == ".parquet":
        rows = [(r.query_id, docid, score, n) for r in found for n, (docid, score) in enumerate(r.scored, 1)]
        names = ("qid", "docno", "score", "rank")
        pq.write_table(pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)}), path)
    else:
        data = "".join(f"{line}\n" for line in LINES[form](found, collection)).encode()
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _run(found: list[Ranked], _: Collection) -> Iterator[str]:
    for ranked in found:
        for number, (docid, score) in enumerate(ranked.scored, 1):
            yield f"{ranked.query_id} Q0 {docid} {number} {score} rehearsal"


def _triples(found: list[Ranked], _: Collection) -> Iterator[str]:
    for ranked in found:
        for negative, _score in ranked.negatives[:3]:
            yield f"{ranked.query_id}\t{ranked.positive[0]}\t{negative}"


def _text_triples(found: list[Ranked], collection: Collection) -> Iterator[str]:
    for ranked in found:
        for negative, _score in ranked.negatives[:3]:
            texts = collection.documents[ranked.positive[0]], collection.documents[negative]
            yield "\t".join((collection.queries[ranked.query_id], *texts))


def _hofstaetter(found: list[Ranked], _: Collection) -> Iterator[str]:
    for ranked in found:
        positive, score = ranked.positive
        for negative, other in ranked.negatives[:3]:
            yield f"{score}\t{other}\t{ranked.query_id}\t{positive}\t{negative}"


def _colbertv2(found: list[Ranked], _: Collection) -> Iterator[str]:
    for ranked in found:
        yield _json([_number(ranked.query_id), *([_number(p), s] for p, s in (ranked.positive, *ranked.negatives))])


def _sbert(found: list[Ranked], _: Collection) -> Iterator[str]:
    def passages(pairs: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
        return [{"pid": _number(passage), "ce-score": score} for passage, score in pairs]

    for ranked in found:
        negatives = {"bm25": passages(ranked.negatives[::2]), "msmarco-MiniLM-L-6-v3": passages(ranked.negatives[1::2])}
        yield _json({"qid": _number(ranked.query_id), "pos": passages([ranked.positive]), "neg": negatives})


def _flagembedding(found: list[Ranked], collection: Collection) -> Iterator[str]:
    for ranked in found:
        value: dict[str, Any] = {"query": collection.queries[ranked.query_id]}
        for kind, pairs in (("pos", [ranked.positive]), ("neg", ranked.negatives)):
            value[kind] = [collection.documents[passage] for passage, _ in pairs]
            value[f"{kind}_scores"] = [score for _, score in pairs]
        yield _json(value)


def _rank_llm(found: list[Ranked], collection: Collection) -> Iterator[str]:
    for ranked in found:
        candidates = [
            {"docid": docid, "score": 1 / number, "doc": {"segment": collection.documents[docid]}}
            for number, docid in enumerate(ranked.passages, 1)
        ]
        query = {"text": collection.queries[ranked.query_id], "qid": ranked.query_id}
        yield _json({"query": query, "candidates": candidates})


LINES: dict[str, Callable[[list[Ranked], Collection], Iterator[str]]] = {
    "run": _run,
    "rank-distillm": _run,
    "triples": _triples,
    "text-triples": _text_triples,
    "hofstaetter": _hofstaetter,
    "colbertv2": _colbertv2,
    "sbert-hard-negatives": _sbert,
    "flagembedding": _flagembedding,
    "rank-llm": _rank_llm,
}
"""Format → its lines."""


def _hub_set(found: list[Ranked], signals: frozenset[str]) -> pa.Table:
    """The set of sentence-transformers/msmarco that carries the signals: an order, margins, or labelled lists."""
    if "teacher_order" in signals:
        return pa.table({"query_id": [r.query_id for r in found], "doc_ids": [r.passages for r in found]})
    if "teacher_scores" in signals:
        rows = [(r.query_id, *r.positive, *other) for r in found for other in r.negatives[:3]]
        columns = {
            "query_id": [row[0] for row in rows],
            "positive_id": [row[1] for row in rows],
            "negative_id": [row[3] for row in rows],
            "score": [row[2] - row[4] for row in rows],
        }
        return pa.table(columns)
    labels = [[int(passage in r.relevant) for passage in r.passages] for r in found]
    passages = [r.passages for r in found]
    return pa.table({"query_id": [r.query_id for r in found], "doc_ids": passages, "labels": labels})


def _ready(found: list[Ranked]) -> Lists:
    orders = [np.arange(len(r.passages), 0, -1, dtype=np.float32) for r in found]
    return Lists(
        [r.query_id for r in found],
        [r.passages for r in found],
        labels=[np.array([p in r.relevant for p in r.passages], np.float32) for r in found],
        teacher_scores=[np.array(r.scores, np.float32) for r in found],
        teacher_order=orders,
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(text_id: str) -> int | str:
    """As MS MARCO's ids stand in JSON."""
    return int(text_id) if text_id.isdecimal() else text_id
