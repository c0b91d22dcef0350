"""Small generated training lists, written in every published format exactly as its real files are."""

from pathlib import Path
from random import Random

import numpy as np

from limbeck.collections import Collection
from limbeck.lists import Lists, find_format, write_lists
from limbeck.lists.formats import ExampleQuery

PASSAGES = 12


def rankings(collection: Collection) -> list[ExampleQuery]:
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
        found.append(ExampleQuery(query_id, passages, values, frozenset(relevant)))
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
    else:
        find_format(form).example(found, collection, signals, path)


def _ready(found: list[ExampleQuery]) -> Lists:
    orders = [np.arange(len(r.passages), 0, -1, dtype=np.float32) for r in found]
    return Lists(
        [r.query_id for r in found],
        [r.passages for r in found],
        labels=[np.array([p in r.relevant for p in r.passages], np.float32) for r in found],
        teacher_scores=[np.array(r.scores, np.float32) for r in found],
        teacher_order=orders,
    )
