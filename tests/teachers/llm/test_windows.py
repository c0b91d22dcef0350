from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.core.errors import UsageError
from limbeck.teachers.llm.rerank import merge_orders, windows


def test_windows_slide_from_the_back_as_in_the_paper():
    assert windows(100, 20, 10) == [(start, start + 20) for start in range(80, -1, -10)]


@given(st.integers(1, 130), st.integers(2, 25), st.data())
def test_every_place_is_seen_windows_overlap_and_the_last_begins_at_the_top(count, size, data):
    step = data.draw(st.integers(1, size - 1))
    found = windows(count, size, step)
    assert {place for start, end in found for place in range(start, end)} == set(range(count))
    assert (found[0][1], found[-1][0]) == (count, 0)
    assert all(later[0] < earlier[0] < later[1] for earlier, later in pairwise(found))


@pytest.mark.parametrize(("size", "step"), [(20, 20), (20, 0), (1, 1)])
def test_windows_that_do_not_overlap_or_move_are_refused(size, step):
    with pytest.raises(UsageError, match="smaller step"):
        windows(100, size, step)


def test_one_order_gives_places_from_the_end():
    assert merge_orders([[2, 0, 1]]).tolist() == [2, 1, 3]


def test_opposite_orders_tie():
    assert merge_orders([[0, 1, 2], [2, 1, 0]]).tolist() == [2, 2, 2]
