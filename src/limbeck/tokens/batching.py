"""Micro-batches by a token budget: sequences of nearly equal length share one, so that little padding is computed."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# What one more micro-batch is taken to cost beside its tokens, in tokens: an estimate, below what could be measured
# (docs/LOG.md), that keeps a step from being cut into crumbs.
MICRO_BATCH_TOKENS = 64


def micro_batches(lengths: ArrayLike, token_budget: int, pads: bool = True) -> list[NDArray[np.intp]]:
    """Cut sequences into micro-batches, longest first, each within the budget once padded to its longest.

    Of all cuts of the sequences in order of length, the one with the fewest tokens is taken, padding and
    `MICRO_BATCH_TOKENS` for each micro-batch included; dynamic programming finds it from the shortest sequence on.
    Longest first, so that a device that is too small fails on the first micro-batch and not on the last.

    Args:
        lengths: [n] tokens of each sequence, whatever list or query it belongs to.
        token_budget: most tokens of one micro-batch, padding included. A sequence longer than it stands alone.
        pads: whether sequences of unequal length may share one.

    Returns:
        Index arrays that partition range(n).
    """
    lengths = np.asarray(lengths)
    order = np.argsort(-lengths, kind="stable")
    longest = lengths[order].astype(np.int64)
    most = np.maximum(1, token_budget // np.maximum(1, longest))
    if not pads:
        most = np.minimum(most, np.searchsorted(-longest, -longest, side="right") - np.arange(len(order)))
    cost = np.zeros(len(order) + 1)  # of the sequences from each position on
    end = np.zeros(len(order), np.intp)  # of the micro-batch that begins at each position
    for start in range(len(order) - 1, -1, -1):
        ends = np.arange(start + 1, min(len(order), start + most[start]) + 1)
        costs = longest[start] * (ends - start) + MICRO_BATCH_TOKENS + cost[ends]
        best = int(np.argmin(costs))
        cost[start], end[start] = costs[best], ends[best]
    batches = []
    start = 0
    while start < len(order):
        batches.append(order[start : end[start]])
        start = int(end[start])
    return batches


def filled_batches(lengths: ArrayLike, token_budget: int) -> list[NDArray[np.intp]]:
    """Cut sequences that are packed into micro-batches, longest first, each filled with real tokens up to the budget.

    Packed rows have no padding that an even cut could save, and each micro-batch costs some hundred launches of
    kernels: there are as few as sequences in this order allow. One longer than the budget stands alone.
    """
    lengths = np.asarray(lengths, np.int64)
    order = np.argsort(-lengths, kind="stable")
    ends = np.cumsum(lengths[order])
    batches, start = [], 0
    while start < len(order):
        full = int(np.searchsorted(ends, (ends[start - 1] if start else 0) + token_budget, side="right"))
        batches.append(order[start : max(full, start + 1)])
        start = max(full, start + 1)
    return batches


def shares(lengths: ArrayLike, processes: int) -> list[NDArray[np.intp]]:
    """Deal sequences out among processes, so that their tokens differ by no more than the longest sequence.

    Longest first, forth and back: 0 1 2, 2 1 0, 0 1 2, …

    Returns:
        For each process, the indices of its sequences; together they partition range(n).
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    turn, place = np.divmod(np.arange(len(order)), processes)
    owner = np.where(turn % 2, processes - 1 - place, place)
    return [order[owner == process] for process in range(processes)]
