"""What is recommended, and in which words."""

from collections.abc import Mapping

import pytest

from limbeck.collections import Collection
from limbeck.distil.recommend import (
    FIRST_STAGE,
    STUDENT,
    TEACHER,
    OnTest,
    System,
    advise,
    mean,
    systems,
    unjudged,
    weightings,
)
from limbeck.runs import Run

DOCIDS = [f"d{n}" for n in range(12)]


def collection(queries: int = 6) -> Collection:
    """Queries of which the third and the seventh document are relevant."""
    names = [f"q{n}" for n in range(queries)]
    qrels = {name: {"d2": 1, "d6": 1} for name in names}
    return Collection("made", dict.fromkeys(DOCIDS, "text"), dict.fromkeys(names, "query"), qrels, tuple(names))


def run(first: Mapping[str, float], queries: int = 6) -> Run:
    """Documents in their order, but for scores that are given."""
    scores = {docid: float(-number) for number, docid in enumerate(DOCIDS)} | dict(first)
    return Run.from_scores("made", {f"q{n}": scores for n in range(queries)})


def test_what_is_recommended_is_never_below_the_best_part_or_fusion() -> None:
    made = collection()
    runs = {FIRST_STAGE: run({"d2": 30.0}), TEACHER: run({"d6": 30.0}), STUDENT: run({"d2": -20.0})}
    found = systems(made, runs)
    best = mean(made, found[0].run(runs))
    assert found[0].chosen_by == best
    assert best > max(mean(made, each) for each in runs.values())  # as a fusion is, here
    assert all(best >= mean(made, each.run(runs)) for each in found)
    assert len(found) == 3 + 3 + 1


def test_of_equal_systems_the_cheaper_one_stands_first() -> None:
    same = run({})
    found = systems(collection(), {FIRST_STAGE: same, TEACHER: same, STUDENT: same})
    assert found[0].name == FIRST_STAGE
    assert found[3].weights == (0.5, 0.5)


def test_weights_sum_to_one() -> None:
    assert all(sum(weights) == pytest.approx(1) and min(weights) > 0 for n in (2, 3) for weights in weightings(n))
    assert (len(list(weightings(2))), len(list(weightings(3)))) == (9, 6)


BM25 = System(parts=(FIRST_STAGE,), chosen_by=0.3)
BEST = System(parts=(STUDENT,), chosen_by=0.4)
FUSED = System(parts=(FIRST_STAGE, STUDENT), weights=(0.4, 0.6), chosen_by=0.35)
PLAIN = OnTest(value=0.3, difference=0.0)


@pytest.mark.parametrize(
    ("found", "student", "use", "words"),
    [
        ([BM25, BEST], OnTest(value=0.4, difference=0.1), False, "Do not re-rank: on the 40 queries that choose"),
        (
            [BEST, BM25], OnTest(value=0.4, difference=0.1, interval=(0.05, 0.15), p=0.0004), True,
            "Use student: +0.100 [+0.050, +0.150] nDCG@10 over BM25 on the test queries, p < 0.001.",
        ),
        (
            [BEST, BM25], OnTest(value=0.31, difference=0.01, interval=(-0.02, 0.04), p=0.52), True,
            "is not shown on the test queries (+0.010 [−0.020, +0.040] nDCG@10, p = 0.520)",
        ),
        (
            [BEST, BM25], OnTest(value=0.31, difference=0.01), True,
            "is not shown on the test queries (+0.010 nDCG@10).",
        ),
        (
            [BEST, BM25], OnTest(value=0.28, difference=-0.02, interval=(-0.05, 0.01), p=0.2), False,
            "Do not re-rank: student was best on the 40 queries that choose, and lies below BM25 on the test queries",
        ),
    ],
)  # fmt: skip
def test_the_words_say_what_the_test_said(found: list[System], student: OnTest, use: bool, words: str) -> None:
    advice = advise(found, {FIRST_STAGE: PLAIN, STUDENT: student}, 40)
    assert (advice.use, advice.system) == (use, STUDENT if use else FIRST_STAGE)
    assert words in advice.words


def test_a_system_that_the_test_puts_higher_is_named_and_not_chosen() -> None:
    tested = {
        FIRST_STAGE: PLAIN, STUDENT: OnTest(value=0.4, difference=0.1, interval=(0.05, 0.15), p=0.0004),
        FUSED.name: OnTest(value=0.41, difference=0.11, interval=(0.05, 0.17), p=0.0004),
    }  # fmt: skip
    advice = advise([BEST, FUSED, BM25], tested, 40)
    assert advice.system == STUDENT
    assert "0.4 BM25 + 0.6 student came out 0.010 higher there" in advice.words


def test_without_judgments_nothing_is_claimed_but_agreement() -> None:
    advice = unjudged({FIRST_STAGE: 0.5, STUDENT: 0.7}, 100)
    assert (advice.use, advice.system) == (None, None)
    assert "Nothing can be recommended" in advice.words
    assert "agrees more" in advice.words
    assert "does not agree more" in unjudged({FIRST_STAGE: 0.5, STUDENT: 0.4}, 100).words
