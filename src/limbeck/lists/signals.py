"""Signals put on lists, taken from them, and what lists of several sources have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from limbeck.core.errors import DataError
from limbeck.lists.lists import SIGNALS, Lists, joined_metadata
from limbeck.lists.ragged import joined


def with_teacher_scores(lists: Lists, scores: Mapping[str, np.ndarray] | Sequence[np.ndarray], teacher: str) -> Lists:
    """The same lists with `scores` as their teacher scores and `teacher` in the metadata; nothing else changes.

    `scores` gives per list an array [passages] in the list's passage order: by query id, or one per list in the lists'
    order (needed where a query has several lists). DataError for a query without scores or a wrong length.
    """
    if isinstance(scores, Mapping):
        if len(set(lists.query_ids)) < len(lists):
            raise DataError("teacher scores by query id, but a query has several lists: expected one array per list")
        absent = [query_id for query_id in lists.query_ids if query_id not in scores]
        if absent:
            raise DataError(
                f'{len(absent)} of {len(lists)} queries have no teacher scores, the first is "{absent[0]}": '
                "expected scores for the passages of every list"
            )
        scores = [scores[query_id] for query_id in lists.query_ids]
    return replace(lists, teacher_scores=list(scores), metadata={**lists.metadata, "teacher": teacher})


def only_signals(lists: Lists, names: frozenset[str]) -> Lists:
    """The same lists with the signals `names` and no others."""
    labels, scores, order = (lists.values(name) if name in names else None for name in SIGNALS)
    return replace(lists, labels=labels, teacher_scores=scores, teacher_order=order)


def teacher_order_from_scores(lists: Lists) -> Lists:
    """The same lists with the order that their teacher scores imply: n for the best of n passages, 1 for the worst.

    Equal scores share their average rank, so that they form no pair in an objective.
    """
    if lists.teacher_scores is None:
        raise DataError("lists carry no teacher_scores: expected them, an order is derived from scores")
    order = [average_ranks(scores) for scores in lists.teacher_scores]
    return replace(lists, teacher_order=order, metadata={**lists.metadata, "order_from": "teacher_scores"})


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks [n] of `values` [n], 1 for the smallest; equal values share the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(sizes)
    return (last_rank - (sizes - 1) / 2)[group]


def mix(parts: Mapping[str, Lists]) -> Lists:
    """All lists of all parts, by their names, in order. A query may have lists in several parts.

    Signals that a part lacks are left out of all; metadata counts each part's lists (`lists_of`) and names the signals
    (`signals_left_out`). What else differs in the metadata is joined with ` + `.

    DataError where the parts have no signal in common: an objective reads one signal of every list.
    """
    shared = frozenset.intersection(*(part.signals for part in parts.values()))
    if not shared:
        found = "; ".join(f"{name}: {', '.join(sorted(part.signals)) or 'none'}" for name, part in parts.items())
        raise DataError(f"the lists have no signal in common ({found}); expected one, such as labels, that all have")
    left_out = frozenset.union(*(part.signals for part in parts.values())) - shared
    kept = [only_signals(part, shared) for part in parts.values()]
    columns = {name: joined([getattr(part, name) for part in kept]) for name in ("query_ids", "passage_ids", *shared)}
    metadata = {
        **joined_metadata([part.metadata for part in kept]),
        "lists_of": " + ".join(f"{name}: {len(part)}" for name, part in parts.items()),
        "signals_left_out": ", ".join(sorted(left_out)) or "none",
    }
    return Lists(**columns, metadata=metadata)
