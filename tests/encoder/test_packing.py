import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.encoder import micro_batches, padding_share


@given(st.lists(st.integers(0, 600), max_size=80), st.integers(1, 5000))
def test_micro_batches_hold_every_sequence_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = micro_batches(lengths, budget)
    held = np.concatenate([*batches, np.zeros(0, np.intp)]).astype(int)
    assert sorted(held) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget


@given(st.lists(st.integers(1, 600), min_size=1, max_size=80), st.integers(1, 5000))
def test_longest_come_first_and_batches_are_filled(lengths: list[int], budget: int) -> None:
    batches = micro_batches(lengths, budget)
    in_order = [lengths[i] for batch in batches for i in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches[:-1]:
        assert lengths[batch[0]] * (len(batch) + 1) > budget


def test_equal_lengths_keep_their_order() -> None:
    assert [batch.tolist() for batch in micro_batches([5, 9, 5, 9], 18)] == [[1, 3], [0, 2]]


def test_a_sequence_longer_than_the_budget_stands_alone() -> None:
    assert [batch.tolist() for batch in micro_batches([3, 50, 3], 10)] == [[1], [0, 2]]


def test_nothing_gives_no_micro_batch() -> None:
    assert micro_batches([], 100) == []
    assert padding_share([], []) == 0.0


def test_padding_share_is_the_part_of_the_computed_tokens_that_is_padding() -> None:
    assert padding_share([4, 2], [np.array([0, 1])]) == pytest.approx(2 / 8)
    assert padding_share([4, 2], [np.array([0]), np.array([1])]) == 0.0
