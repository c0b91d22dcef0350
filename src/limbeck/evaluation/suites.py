"""Averages over suites of collections."""

import math
from collections.abc import Mapping

from limbeck.collections import suites


def suite_means(means: Mapping[str, float]) -> dict[str, float]:
    """Suite → unweighted mean of its members' values, for each suite of which no member is missing.

    Args:
        means: a measure's mean on each collection, by its ir_datasets id.
    """
    return {
        name: math.fsum(means[member] for member in members) / len(members)
        for name, members in suites().items()
        if all(member in means for member in members)
    }
