"""Micro-batches by a token budget: sequences of nearly equal length share one, so that little padding is computed."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def micro_batches(lengths: ArrayLike, token_budget: int) -> list[NDArray[np.intp]]:
    """Cut sequences into micro-batches, longest first, each within the budget once padded to its longest.

    Longest first, so that a device that is too small fails on the first micro-batch and not on the last.

    Args:
        lengths: [n] tokens of each sequence, whatever list or query it belongs to.
        token_budget: most tokens of one micro-batch, padding included. A sequence longer than it stands alone.

    Returns:
        Index arrays that partition range(n), filled greedily.
    """
    lengths = np.asarray(lengths)
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        count = max(1, token_budget // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + count])
        start += count
    return batches


def padding_share(lengths: ArrayLike, batches: list[NDArray[np.intp]]) -> float:
    """Share of the computed tokens that are padding, 0 to 1, when `batches` pad to their longest sequence."""
    lengths = np.asarray(lengths)
    computed = sum(int(lengths[batch].max()) * len(batch) for batch in batches)
    return 1 - int(lengths.sum()) / computed if computed else 0.0
