"""How minutes are divided."""

from typing import Any

import pytest

from limbeck.core.errors import UsageError
from limbeck.distil.budget import (
    LIST_DEPTHS,
    LIST_SIZE,
    LISTS_PER_STEP,
    PAIRS_OF_QUERY,
    QUERY_COST,
    WITH_SENTENCES,
    Budget,
    Rates,
    Teaching,
    divide,
    share_of_test,
    training_queries,
)

FIQA = {"queries": 5700, "held_out": 948, "depth": 100, "held_out_documents": 30_000}
TEACHINGS = [
    Teaching(depth=depth, share=share, sentences=12_000 // share if share else 0, documents=documents)
    for (depth, share), documents in zip(
        WITH_SENTENCES, (26_000, 19_000, 16_000, 14_000, 9_000, 6_000, 4_000), strict=True
    )
]
ALONE = [Teaching(depth=depth, documents=120 * depth) for depth in LIST_DEPTHS]
TWO_CORES = Rates(documents=35.0, trained_pairs=180.0, scored_pairs=400.0)


def divided(minutes: float, rates: Rates = TWO_CORES, spent: float = 90.0, **work: Any) -> Budget:
    return divide(minutes, rates, spent=spent, **{"teachings": TEACHINGS, **FIQA, **work})


def test_parts_sum_to_the_minutes_and_pairs_fill_whole_steps() -> None:
    for minutes in (40, 60, 240):
        budget = divided(minutes)
        assert sum(part.seconds for part in budget.parts) == pytest.approx(60 * minutes)
        assert all(part.seconds >= 0 for part in budget.parts)
        assert budget.pairs % (LIST_SIZE * LISTS_PER_STEP) == 0


def test_more_time_teaches_deeper_and_trains_longer() -> None:
    budgets = [divided(minutes) for minutes in (42, 60, 240)]
    depths = [budget.teaching.depth for budget in budgets]
    assert depths == sorted(depths)
    assert depths[0] < depths[-1] == LIST_DEPTHS[0]
    assert budgets[0].teaching.sentences < budgets[-1].teaching.sentences == 12_000
    assert budgets[0].pairs < budgets[1].pairs < budgets[2].pairs


def test_training_takes_what_the_rest_leaves_at_the_measured_rate() -> None:
    budget = divided(60)
    teaching = budget.teaching.documents + QUERY_COST * (5700 + budget.teaching.sentences)
    seconds = 3600 - 90 - 0.06 * 3600 - 948 * 100 / 400 - 30_000 / 35 - teaching / 35
    assert budget.pairs == int(seconds * 180 / 64) * 64


def test_sentences_teach_first_and_leave_queries_what_they_are_good_for() -> None:
    for minutes in (50, 60, 240):
        budget = divided(minutes)
        assert budget.teaching.sentences
        assert budget.query_pairs <= min(budget.pairs / 2, 5700 * PAIRS_OF_QUERY)
        assert budget.query_pairs + LIST_SIZE * LISTS_PER_STEP > min(budget.pairs / 2, 5700 * PAIRS_OF_QUERY)
    alone = divided(60, teachings=ALONE)
    assert (alone.sentence_pairs, alone.query_pairs) == (0, alone.pairs)
    # An hour of this machine is good for 324,000 pairs: half of queries, half of a sentence for each list.
    assert training_queries(60, TWO_CORES, LIST_SIZE, 10_000) == pytest.approx(162_000 / 8, abs=1)
    assert training_queries(60, TWO_CORES, LIST_SIZE, 1_000) == pytest.approx((324_000 - 32_000) / 8, abs=1)


def test_where_the_teacher_is_slow_sentences_are_given_up_before_the_whole_is_refused() -> None:
    slow = Rates(documents=20.0, trained_pairs=180.0, scored_pairs=400.0)
    least = next(minutes for minutes in range(30, 200) if _is_enough(minutes, slow))
    found = divided(least, slow)
    assert found.teaching == TEACHINGS[-1]
    assert (found.sentence_pairs, found.query_pairs) == (0, found.pairs)


def _is_enough(minutes: float, rates: Rates) -> bool:
    try:
        return bool(divided(minutes, rates))
    except UsageError:
        return False


def test_too_few_minutes_are_refused_with_as_many_as_would_do() -> None:
    with pytest.raises(UsageError, match=r"expected --minutes (\d+) or more") as refused:
        divided(15)
    enough = int(str(refused.value).split("--minutes ")[1].split()[0])
    assert divided(enough).pairs > 0
    with pytest.raises(UsageError):
        divided(enough - 1)


def test_a_ready_re_ranker_is_paid_for() -> None:
    slow = Rates(documents=35.0, trained_pairs=180.0, scored_pairs=400.0, ready_pairs=200.0)
    measuring = {rates: divided(60, rates).parts[4].seconds for rates in (TWO_CORES, slow)}
    assert measuring[slow] - measuring[TWO_CORES] == pytest.approx(948 * 100 / 200)
    assert divided(60, slow).pairs < divided(60).pairs


def test_where_held_out_queries_cost_too_much_a_share_of_the_test_is_taken() -> None:
    whole = {"valid": 300, "test": 648, "depth": 100, "documents": 30_000}
    assert share_of_test(60, TWO_CORES, **whole) == 1
    assert share_of_test(20, TWO_CORES, **whole) > 1
    assert share_of_test(20, TWO_CORES, **{**whole, "test": 0}) == 1


def test_as_many_queries_teach_as_training_can_visit() -> None:
    assert training_queries(60, TWO_CORES) == pytest.approx(1800 * 180 / 32, abs=1)
    assert training_queries(0.001, TWO_CORES) == LISTS_PER_STEP
