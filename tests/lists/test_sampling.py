import numpy as np
import pytest

from limbeck.core.errors import UsageError
from limbeck.lists import POLICIES, Sample

LABELS = np.array([0, 1, 0, 2, 0, 0, 1], dtype=np.float32)


def draw(sample, labels=LABELS, seed=0):
    return sample.draw(len(labels), labels, np.random.default_rng(seed)).tolist()


def test_the_default_is_the_whole_list():
    assert draw(Sample()) == list(range(7))


def test_depth_keeps_the_first_passages():
    assert draw(Sample(depth=3)) == [0, 1, 2]
    assert draw(Sample(depth=30)) == list(range(7))


def test_size_draws_from_what_depth_leaves_and_never_twice():
    drawn = [draw(Sample(depth=5, size=3), seed=seed) for seed in range(40)]
    assert all(len(set(positions)) == 3 and positions == sorted(positions) for positions in drawn)
    assert {position for positions in drawn for position in positions} == {0, 1, 2, 3, 4}
    assert draw(Sample(size=50)) == list(range(7))


def test_positives_lie_anywhere_and_depth_limits_the_negatives():
    drawn = [draw(Sample(depth=3, positives=2, negatives=1), seed=seed) for seed in range(40)]
    assert {position for positions in drawn for position in positions} == {0, 1, 2, 3, 6}
    assert all(sum(LABELS[positions] > 0) == 2 and len(positions) == 3 for positions in drawn)


def test_the_positives_place_tells_nothing():
    drawn = [draw(Sample(positives=1, negatives=3), seed=seed) for seed in range(40)]
    assert all(positions == sorted(positions) for positions in drawn)
    assert len({positions.index(3) for positions in drawn if 3 in positions}) > 1


def test_a_list_with_fewer_than_asked_for_gives_what_it_has():
    assert draw(Sample(positives=9, negatives=9)) == list(range(7))


def test_the_smallest_positive_label_can_be_set():
    assert {tuple(draw(Sample(positives=1, negatives=6, positive_from=2), seed=s)) for s in range(9)} == {(*range(7),)}
    assert draw(Sample(positives=3, negatives=1, positive_from=2)).count(3) == 1
    positives, negatives = Sample(positives=1, negatives=1, positive_from=2).pools(LABELS)
    assert positives.tolist() == [3]
    assert negatives.tolist() == [0, 1, 2, 4, 5, 6]


def test_random_negatives_come_from_below_the_depth_and_the_others_from_above():
    sample = Sample(depth=3, positives=1, negatives=1, random=2)
    drawn = [draw(sample, seed=seed) for seed in range(40)]
    assert all(len([p for p in positions if LABELS[p] == 0 and p < 3]) == 1 for positions in drawn)
    assert all({p for p in positions if LABELS[p] == 0 and p >= 3} == {4, 5} for positions in drawn)
    assert all(sum(LABELS[positions] > 0) == 1 for positions in drawn)


def test_a_list_shorter_than_the_depth_has_no_random_negatives():
    assert draw(Sample(depth=30, positives=3, negatives=9, random=2)) == list(range(7))


def test_with_replacement_there_are_always_as_many_as_asked_for():
    drawn = [draw(Sample(positives=3, negatives=9, replacement=True), seed=seed) for seed in range(40)]
    assert all(len(positions) == 12 and positions == sorted(positions) for positions in drawn)
    assert all(set(positions) >= {1, 3, 6} for positions in drawn)  # positives never twice
    assert all([p for p in positions if LABELS[p] > 0] == [1, 3, 6] for positions in drawn)
    assert {p for positions in drawn for p in positions} == set(range(7))
    assert len(draw(Sample(size=20, replacement=True))) == 20


def test_the_first_positives_are_taken_in_the_lists_order():
    assert {
        next(p for p in draw(Sample(positives=1, negatives=2, first=True), seed=s) if LABELS[p]) for s in range(9)
    } == {1}


def test_the_papers_infonce_is_its_first_positive_and_seven_of_the_rest_with_replacement():
    sample = POLICIES["paper-infonce"]
    drawn = [draw(sample, seed=seed) for seed in range(40)]
    assert all(len(positions) == 8 and [p for p in positions if LABELS[p] > 0] == [1] for positions in drawn)
    # Four negatives for seven draws: some must come twice, whatever the seed.
    assert all(len(set(positions)) < 8 for positions in drawn)
    assert str(sample) == "positives=1, negatives=7, replacement=true, first=true"


def test_the_papers_llm_orders_are_seen_whole():
    assert POLICIES["paper-llm"].draw(100, None, np.random.default_rng(0)).tolist() == list(range(50))
    assert POLICIES["rank-distillm-llm"].draw(100, None, np.random.default_rng(0)).tolist() == list(range(100))
    assert POLICIES["paper-triples"].draw(2, None, np.random.default_rng(0)).tolist() == [0, 1]


@pytest.mark.parametrize(
    "text", ["all", "depth=5", "depth=50", "size=3", "depth=5, size=3", "positives=1, negatives=2"]
)
def test_only_what_is_random_differs_by_the_seed(text: str) -> None:
    sample = Sample.parse(text)
    drawn = {tuple(draw(sample, seed=seed)) for seed in range(20)}
    assert sample.is_random == (len(drawn) > 1)
    if not sample.is_random:
        assert drawn == {tuple(sample.first_positions(len(LABELS)))}


def test_a_policy_is_known_by_its_name_and_a_wrong_name_gives_the_nearest():
    assert all(Sample.parse(name) == sample == Sample.parse(str(sample)) for name, sample in POLICIES.items())
    with pytest.raises(UsageError, match=r'a policy\'s name: .*did you mean "paper-infonce"'):
        Sample.parse("paper-infonse")


@pytest.mark.parametrize(
    "sample",
    [
        Sample(),
        Sample(depth=50),
        Sample(depth=200, positives=1, negatives=7, positive_from=2),
        Sample(size=8),
        Sample(depth=1_234_567),
        Sample(depth=50, positives=1, negatives=4, random=3, replacement=True, first=True),
    ],
)
def test_a_sample_reads_back_as_it_prints(sample):
    assert Sample.parse(str(sample)) == sample


def test_a_configuration_reads_as_the_class_does():
    assert Sample.from_mapping({"positives": 1, "negatives": 7}) == Sample(positives=1, negatives=7)
    assert str(Sample(positives=1, negatives=7)) == "positives=1, negatives=7"
    assert str(Sample()) == "all"


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"negative": 7}, ['unknown key "negative"', 'did you mean "negatives"']),
        ({"depth": 0}, ["depth is 0", "≥ 1"]),
        ({"depth": 1.5}, ["depth is 1.5"]),
        ({"size": True}, ["size is True"]),
        ({"size": "8"}, ["size is '8'"]),
        ({"positives": 1}, ["positives is given without negatives"]),
        ({"negatives": 1}, ["negatives is given without positives"]),
        ({"positives": 1, "negatives": 1, "size": 3}, ["size is given beside"]),
        ({"positive_from": 0}, ["positive_from is 0"]),
        ({"replacement": 1, "size": 2}, ["replacement is 1, expected true or false"]),
        ({"replacement": True}, ["replacement is given without"]),
        ({"first": True, "size": 2}, ["first is given without positives"]),
        ({"random": 2, "positives": 1, "negatives": 1}, ["random is given without negatives and depth"]),
        ({"random": 2, "depth": 3}, ["random is given without negatives and depth"]),
        ({"positive_from": float("nan")}, ["positive_from is nan"]),
        ({"deep": 5, "size": -1, "depth": 0}, ['"deep"', "size is -1", "depth is 0"]),
    ],
)
def test_every_wrong_key_is_named_at_once(mapping, words):
    with pytest.raises(UsageError) as caught:
        Sample.from_mapping(mapping)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("text", ["positives", "positives=x", "depth=3, depth=4", "deep=3"])
def test_a_wrong_text_is_refused(text):
    with pytest.raises(UsageError, match="sample: "):
        Sample.parse(text)


def test_drawing_by_label_needs_labels():
    with pytest.raises(UsageError, match="carry no labels"):
        Sample(positives=1, negatives=1).draw(3, None, np.random.default_rng(0))


def test_a_stratified_sample_takes_one_passage_from_each_band_of_the_teachers_scores():
    # 90 passages that the teacher finds hopeless, and ten spread over the rest of its range.
    scores = np.array([*np.linspace(-10, -9.5, 90), *range(-9, 1)], dtype=np.float32)
    for seed in range(20):
        random = np.random.default_rng(seed)
        drawn = Sample(size=10, stratified=True).draw(100, None, random, scores)
        assert len(set(drawn)) == 10
        assert sorted(drawn) == drawn.tolist()
        assert np.histogram(scores[drawn], bins=10, range=(-10, 0))[0].min() == 1
    unstratified = Sample(size=10).draw(100, None, np.random.default_rng(0))
    assert np.histogram(scores[unstratified], bins=10, range=(-10, 0))[0].min() == 0


def test_empty_bands_are_made_up_for_and_equal_scores_are_one_band():
    far = np.array([0, 0, 0, 0, 9], dtype=np.float32)
    for seed in range(9):
        drawn = Sample(size=3, stratified=True).draw(5, None, np.random.default_rng(seed), far)
        assert 4 in drawn
        assert len(set(drawn)) == 3
    assert len(Sample(size=3, stratified=True).draw(5, None, np.random.default_rng(0), np.ones(5))) == 3
    assert Sample(size=9, stratified=True).draw(5, None, np.random.default_rng(0), far).tolist() == [0, 1, 2, 3, 4]


def test_stratified_negatives_are_negatives():
    scores = np.arange(7, dtype=np.float32)
    sample = Sample(positives=1, negatives=2, stratified=True)
    for seed in range(20):
        drawn = sample.draw(7, LABELS, np.random.default_rng(seed), scores)
        negatives = [int(position) for position in drawn if LABELS[position] == 0]
        assert len(negatives) == 2
        assert negatives[0] <= 2 < negatives[1]  # of 0, 2 | 4, 5


def test_a_stratified_sample_without_scores_and_what_cannot_go_together_is_refused():
    with pytest.raises(UsageError, match="teacher's scores, but the lists carry none"):
        Sample(size=2, stratified=True).draw(3, None, np.random.default_rng(0))
    for wrong in ("stratified=true", "size=2, replacement=true, stratified=true"):
        with pytest.raises(UsageError, match="stratified is given without negatives or size, or with replacement"):
            Sample.parse(wrong)
    for wrong in ("positives=2, negatives=7", "size=3", "positives=1, negatives=7, first=true"):
        with pytest.raises(UsageError, match="each_positive visits a list once for each positive"):
            Sample.parse(f"{wrong}, each_positive=true")
