from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.lists import Lists


@pytest.fixture
def collection() -> Collection:
    """Three judged queries; d9 has no text, q4 is known but of another split."""
    return Collection(
        name="tiny",
        documents={f"d{number}": f"text {number}" for number in range(1, 9)},
        queries={f"q{number}": f"query {number}" for number in range(1, 5)},
        qrels={"q1": {"d1": 1, "d2": 0, "d7": 1, "d8": 3, "d9": 2}, "q2": {"d3": -2, "d4": 2}, "q3": {"d5": 0}},
        query_ids=("q1", "q2", "q3"),
    )


@pytest.fixture
def make_lists() -> Callable[..., Lists]:
    """Lists of the given labels: list i belongs to query qi and has passages pi-0, pi-1, …"""

    def make(*labels: list[float], **extra: Any) -> Lists:
        return Lists(
            [f"q{row}" for row in range(len(labels))],
            [[f"p{row}-{place}" for place in range(len(values))] for row, values in enumerate(labels)],
            labels=[np.array(values) for values in labels],
            **extra,
        )

    return make
