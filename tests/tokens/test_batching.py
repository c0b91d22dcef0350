import math
from itertools import combinations, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from limbeck.tokens.batching import MICRO_BATCH_TOKENS, filled_batches, micro_batches


@given(st.lists(st.integers(0, 600), max_size=80), st.integers(1, 5000))
def test_micro_batches_hold_every_sequence_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = micro_batches(lengths, budget)
    held = np.concatenate([*batches, np.zeros(0, np.intp)]).astype(int)
    assert sorted(held) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget


@given(st.lists(st.integers(1, 600), min_size=1, max_size=80), st.integers(1, 5000))
def test_longest_come_first(lengths: list[int], budget: int) -> None:
    in_order = [lengths[i] for batch in micro_batches(lengths, budget) for i in batch]
    assert in_order == sorted(lengths, reverse=True)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=7), st.integers(1, 900))
def test_no_other_cut_of_the_sorted_sequences_costs_less(lengths: list[int], budget: int) -> None:
    ordered = sorted(lengths, reverse=True)

    def cost(cuts: tuple[int, ...]) -> float:
        bounds = [0, *cuts, len(ordered)]
        parts = [ordered[i:j] for i, j in pairwise(bounds)]
        if any(len(part) > 1 and part[0] * len(part) > budget for part in parts):
            return math.inf
        return sum(part[0] * len(part) + MICRO_BATCH_TOKENS for part in parts)

    found = np.cumsum([len(batch) for batch in micro_batches(lengths, budget)])[:-1]
    places = range(1, len(ordered))
    every = (cuts for count in range(len(ordered)) for cuts in combinations(places, count))
    assert cost(tuple(found)) == min(map(cost, every))


def test_a_few_long_sequences_do_not_pad_many_short_ones() -> None:
    batches = micro_batches([500] * 2 + [50] * 20, 16000)
    assert [len(batch) for batch in batches] == [2, 20]


def test_equal_lengths_keep_their_order() -> None:
    assert [batch.tolist() for batch in micro_batches([500, 900, 500, 900], 1800)] == [[1, 3], [0, 2]]


def test_a_sequence_longer_than_the_budget_stands_alone() -> None:
    assert [batch.tolist() for batch in micro_batches([3, 50, 3], 10)] == [[1], [0, 2]]


def test_nothing_gives_no_micro_batch() -> None:
    assert micro_batches([], 100) == []


def test_packed_micro_batches_are_filled_with_real_tokens_and_are_as_few_as_can_be() -> None:
    lengths = np.random.default_rng(3).integers(5, 256, 1024)
    for budget in (256, 2048, 16384, 10**6):
        batches = filled_batches(lengths, budget)
        assert sorted(i for batch in batches for i in batch) == list(range(1024))
        sums = [int(lengths[batch].sum()) for batch in batches]
        assert max(sums) <= budget
        for full, after in pairwise(batches):
            assert lengths[full].sum() + lengths[after[0]] > budget
    assert len(filled_batches(lengths, 16384)) <= -(-int(lengths.sum()) // 16384) + 1
    assert [batch.tolist() for batch in filled_batches([3, 50, 3], 10)] == [[1], [0, 2]]
    assert filled_batches([], 10) == []
