"""Queries to look at: what re-ranking made better, worse, and left much as it was."""

from collections.abc import Mapping
from typing import Any

from limbeck.collections import Collection
from limbeck.runs import Ranking, Run

GAINS, LOSSES, TYPICAL = 5, 4, 3
SHOWN = 10  # passages of a ranking
TEXT = 1000  # letters of a passage


def choose_queries(
    before: Mapping[tuple[str, str], float], after: Mapping[tuple[str, str], float]
) -> list[tuple[tuple[str, str], str]]:
    """The queries to show, each with `gain`, `loss` or `typical`.

    The biggest gains, the biggest losses, and those around the median change of the rest. Keys are (collection, query).
    """
    order = sorted(before, key=lambda query: (before[query] - after[query], query))
    gains = [query for query in order[:GAINS] if after[query] > before[query]]
    losses = [query for query in reversed(order[-LOSSES:]) if after[query] < before[query]]
    rest = [query for query in order if query not in gains and query not in losses]
    start = max(0, (len(rest) - TYPICAL) // 2)
    chosen = [(query, "gain") for query in gains] + [(query, "loss") for query in losses]
    return chosen + [(query, "typical") for query in rest[start : start + TYPICAL]]


def show_query(collection: Collection, query_id: str, before: Run, after: Run) -> dict[str, Any]:
    """One query's text, and the head of its ranking before and after re-ranking."""
    return {
        "query": collection.queries[query_id],
        "before": _head(collection, query_id, before.get(query_id)),
        "after": _head(collection, query_id, after.get(query_id)),
    }


def _head(collection: Collection, query_id: str, ranking: Ranking | None) -> list[dict[str, Any]]:
    if ranking is None:
        return []
    grades = collection.qrels.get(query_id, {})
    return [
        {
            "rank": position,
            "docid": docid,
            "grade": grades.get(docid),
            "score": float(score),
            "text": collection.documents[docid][:TEXT] if docid in collection.documents else "",
        }
        for position, (docid, score) in enumerate(zip(ranking.docids[:SHOWN], ranking.scores[:SHOWN], strict=True), 1)
    ]
