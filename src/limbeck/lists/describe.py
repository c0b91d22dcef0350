"""What lists hold, in figures."""

from typing import Any

import numpy as np

from limbeck.lists.lists import SIGNALS, Lists


def describe(lists: Lists) -> dict[str, Any]:
    """Counts, lengths, signals and metadata as plain JSON-able values.

    lists, queries, passages (all places) and distinct_passages; passages_per_list as min / median / max;
    with_positive: the share of lists with a label above 0 (None without labels); signals: per signal its smallest and
    largest value, mean and number of distinct values; metadata; fingerprint.
    """
    lengths = np.array([len(passages) for passages in lists.passage_ids], dtype=np.int64)
    return {
        "lists": len(lists),
        "queries": len(set(lists.query_ids)),
        "passages": int(lengths.sum()),
        "distinct_passages": len({passage for passages in lists.passage_ids for passage in passages}),
        "passages_per_list": _lengths(lengths),
        "with_positive": _share_with_positive(lists),
        "signals": {name: _range(values) for name in SIGNALS if (values := lists.values(name)) is not None},
        "metadata": dict(lists.metadata),
        "fingerprint": lists.fingerprint,
    }


def _lengths(lengths: np.ndarray) -> dict[str, float] | None:
    if not lengths.size:
        return None
    return {"min": int(lengths.min()), "median": float(np.median(lengths)), "max": int(lengths.max())}


def _share_with_positive(lists: Lists) -> float | None:
    if lists.labels is None or not len(lists):
        return None
    return sum(bool((labels > 0).any()) for labels in lists.labels) / len(lists)


def _range(values: list[np.ndarray]) -> dict[str, float] | None:
    if not values:
        return None
    numbers = np.concatenate(values)
    return {
        "min": float(numbers.min()),
        "mean": float(numbers.mean(dtype=np.float64)),
        "max": float(numbers.max()),
        "distinct": int(np.unique(numbers).size),
    }
