from dataclasses import replace

import numpy as np
import pytest

from limbeck.core.errors import DataError
from limbeck.lists import Lists, mix


@pytest.fixture
def judged() -> Lists:
    return Lists(["q1"], [["d1", "d2"]], labels=[np.array([1, 0])], metadata={"run": "bm25", "collection": "c"})


@pytest.fixture
def mined(judged: Lists) -> Lists:
    scores = [np.array([0.5, 0.25])]
    return replace(
        judged, teacher_scores=scores, passage_ids=[["d1", "d3"]], metadata={"run": "dense", "collection": "c"}
    )


def test_all_lists_are_there_in_order_and_a_query_may_have_several(judged, mined):
    mixed = mix({"a": judged, "b": mined})
    assert (list(mixed.query_ids), mixed.passage_ids) == (["q1", "q1"], [["d1", "d2"], ["d1", "d3"]])
    assert [labels.tolist() for labels in mixed.labels] == [[1, 0], [1, 0]]


def test_signals_that_not_all_have_are_left_out_and_named(judged, mined):
    mixed = mix({"a": judged, "b": mined})
    assert mixed.signals == {"labels"}
    assert mixed.metadata["signals_left_out"] == "teacher_scores"
    assert mixed.metadata["lists_of"] == "a: 1 + b: 1"
    assert (mixed.metadata["run"], mixed.metadata["collection"]) == ("bm25 + dense", "c")
    assert mix({"a": mined, "b": mined}).signals == {"labels", "teacher_scores"}


def test_lists_without_a_signal_in_common_are_refused(judged, mined):
    with pytest.raises(DataError, match=r"no signal in common \(a: labels; b: teacher_scores\); expected one"):
        mix({"a": judged, "b": replace(mined, labels=None)})
