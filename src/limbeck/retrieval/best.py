"""The best of many scores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.errors import UsageError


def best(scores: NDArray[Any], depth: int) -> NDArray[np.intp]:
    """Places of the `depth` highest of scores [n], and of all that tie with the last one, in no order.

    So the tie rule of rankings decides among those that tie, and not their place.
    """
    if len(scores) <= depth:
        return np.arange(len(scores))
    last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    return np.flatnonzero(scores >= last)


def require_depth(first_stage: str, depth: int) -> None:
    """Raise UsageError for a depth that is none."""
    if depth < 1:
        raise UsageError(f"{first_stage}: the depth is {depth}; expected 1 or more")
