"""Sliding windows from the back of a ranking, and the merging of several orders."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import UsageError


def windows(count: int, size: int, step: int) -> list[tuple[int, int]]:
    """(start, end) of the windows over `count` places, last places first; the last window begins at place 0.

    A good passage at the end is carried to the front by the overlap of `size - step` places (Sun et al. 2023, section
    3.2, arXiv 2304.09542).

    >>> windows(25, 20, 10)
    [(5, 25), (0, 15)]
    """
    if not 1 <= step < size:
        raise UsageError(f"window {size}, step {step}: expected a window of 2 or more and a smaller step of 1 or more")
    found, end = [], count
    while True:
        start = max(0, end - size)
        found.append((start, end))
        if start == 0:
            return found
        end -= step


def merge_orders(orders: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Mean places from the end, [passages], higher is better, of orders that name each passage 0 … n-1 once.

    That is Borda's count. Orders from differently shuffled inputs cancel a model's preference for places (Tang et al.
    2023, arXiv 2310.07712, who take the Kemeny order instead).

    >>> merge_orders([[1, 0, 2], [1, 2, 0]]).tolist()
    [1.5, 3.0, 1.5]
    """
    points = np.zeros((len(orders), len(orders[0])))
    for row, order in zip(points, orders, strict=True):
        row[list(order)] = np.arange(len(order), 0, -1)
    mean: NDArray[np.float64] = points.mean(axis=0)
    return mean
