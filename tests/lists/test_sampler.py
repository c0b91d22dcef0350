from collections import Counter

import numpy as np
import pytest

from limbeck.core.errors import DataError, UsageError
from limbeck.lists import Lists, Sample, Sampler, open_lists, write_lists
from limbeck.lists.sampler import epoch_order

ONE_AND_TWO = Sample(positives=1, negatives=2)


def plain(batch):
    return [(index, positions.tolist()) for index, positions in batch]


@pytest.fixture
def ten(make_lists):
    return make_lists(*[[0, 1, 0, 0, 1, 0]] * 10)


def test_a_step_is_the_same_whatever_was_asked_before(ten):
    there = [plain(Sampler(ten, ONE_AND_TWO, 3, seed=7, stage=1)(step)) for step in range(20)]
    sampler = Sampler(ten, ONE_AND_TWO, 3, seed=7, stage=1)
    epoch_order.cache_clear()
    back = [plain(sampler(step)) for step in reversed(range(20))]
    assert back[::-1] == there


def test_a_step_is_the_same_in_every_release():
    lists = Lists([f"q{i}" for i in range(5)], [["a", "b", "c", "d"]] * 5, labels=[np.array([0, 1, 0, 1])] * 5)
    sampler = Sampler(lists, Sample(positives=1, negatives=1), 3, seed=42, stage=0)
    assert plain(sampler(1)) == [(2, [0, 3]), (4, [2, 3]), (3, [1, 2])]


def test_seed_stage_and_step_each_change_the_draw(ten):
    def draws(seed, stage, first):
        return [plain(Sampler(ten, ONE_AND_TWO, 5, seed=seed, stage=stage)(step)) for step in range(first, first + 2)]

    assert len({str(draws(*key)) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2)]}) == 4


def test_an_epoch_visits_every_list_once_and_the_next_one_in_another_order(ten):
    sampler = Sampler(ten, Sample(), 5, seed=0)
    epochs = [[index for step in (2 * e, 2 * e + 1) for index, _ in sampler(step)] for e in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("lists_per_step", [1, 3, 4, 10, 23])
def test_steps_cut_the_endless_epochs_without_gap_or_overlap(ten, lists_per_step):
    sampler = Sampler(ten, Sample(), lists_per_step, seed=3)
    visited = [index for step in range(60) for index, _ in sampler(step)]
    assert len(visited) == 60 * lists_per_step
    whole = len(visited) // 10
    assert all(sorted(visited[10 * e : 10 * e + 10]) == list(range(10)) for e in range(whole))


def test_a_list_that_comes_twice_in_a_step_is_drawn_anew(make_lists):
    sampler = Sampler(make_lists([1] + [0] * 50), ONE_AND_TWO, 6, seed=0)
    assert len({str(positions) for _, positions in sampler(0)}) > 3


def test_draws_repeat_neither_between_steps_nor_with_the_order_of_epochs(make_lists):
    sampler = Sampler(make_lists([1] + [0] * 1000), Sample(positives=1, negatives=5), 1, seed=0)
    assert len({str(sampler(step)) for step in range(50)}) == 50


def test_every_negative_and_every_positive_is_drawn_equally_often(make_lists):
    sampler = Sampler(make_lists([0, 1, 0, 0, 1, 0]), ONE_AND_TWO, 1, seed=0)
    counts = Counter(int(position) for step in range(1200) for position in sampler(step)[0][1])
    assert all(counts[position] == pytest.approx(600, rel=0.15) for position in range(6))


def test_lists_without_positive_or_negative_are_left_out_and_counted(make_lists):
    lists = make_lists([0, 0, 0], [1, 0], [1, 1], [0, 0], [0, 2])
    sampler = Sampler(lists, Sample(positives=1, negatives=1), 2, seed=0)
    assert sampler.skipped == {"no positive": 2, "no negative": 1}
    assert sampler.usable == 2
    assert {index for step in range(10) for index, _ in sampler(step)} == {1, 4}


def test_the_first_passage_is_never_taken_as_positive_where_there_is_none(make_lists):
    with pytest.raises(DataError, match="no usable list among 2: 2 with no positive"):
        Sampler(make_lists([0, 0], [0, 0, 0]), Sample(positives=1, negatives=1), 1, seed=0)


def test_negatives_beyond_depth_do_not_make_a_list_usable(make_lists):
    lists = make_lists([1, 1, 0], [0, 0, 1])
    sampler = Sampler(lists, Sample(depth=2, positives=1, negatives=1), 1, seed=0)
    assert sampler.skipped == {"no negative": 1}
    assert sampler.usable == 1


def test_grades_below_the_smallest_positive_label_are_negatives(make_lists):
    lists = make_lists([1, 0], [2, 1])
    sampler = Sampler(lists, Sample(positives=1, negatives=1, positive_from=2), 1, seed=0)
    assert sampler.skipped == {"no positive": 1}
    assert plain(sampler(0)) == [(1, [0, 1])]


def test_a_sample_without_labels_leaves_no_list_out(make_lists):
    sampler = Sampler(make_lists([0, 0], [1, 1]), Sample(depth=1), 1, seed=0)
    assert (sampler.skipped, sampler.usable) == ({}, 2)


@pytest.mark.parametrize(
    ("lists_per_step", "epochs", "steps"), [(3, 1, 4), (3, 3, 10), (10, 3, 3), (32, 1, 1), (4, 0.5, 2)]
)
def test_epochs_count_in_whole_steps(ten, lists_per_step, epochs, steps):
    sampler = Sampler(ten, Sample(), lists_per_step, seed=0)
    assert sampler.steps(epochs) == steps


def test_wrong_numbers_and_missing_signals_are_refused(ten):
    for wrong in ({"lists_per_step": 0}, {"seed": -1}, {"seed": 2**32}, {"stage": -1}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            Sampler(**{"lists": ten, "sample": Sample(), "lists_per_step": 1, "seed": 0, **wrong})
    with pytest.raises(UsageError, match="step is -1"):
        Sampler(ten, Sample(), 1, seed=0)(-1)
    with pytest.raises(UsageError, match="carry no signal: expected labels"):
        Sampler(Lists(["q"], [["a", "b"]]), ONE_AND_TWO, 1, seed=0)
    with pytest.raises(DataError, match="among 0: there are none"):
        Sampler(Lists([], []), Sample(), 1, seed=0)


def test_no_global_random_state_is_read_or_moved(ten):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first = plain(Sampler(ten, ONE_AND_TWO, 3, seed=7)(0))
    assert (np.random.get_state()[1] == before).all()
    np.random.seed(1)
    assert plain(Sampler(ten, ONE_AND_TWO, 3, seed=7)(0)) == first


def test_an_epoch_visits_a_list_once_for_each_of_its_positives(make_lists, tmp_path):
    """As arXiv 2603.03010 v1 makes InfoNCE's lists: a list for each positive that was retrieved, without the others."""
    lists = make_lists([0, 1, 0, 1, 1], [0, 0], [1, 0, 0], [1, 1])
    sample = Sample(positives=1, negatives=2, each_positive=True)
    write_lists(lists, tmp_path / "lists.parquet")
    for there in (lists, open_lists(tmp_path / "lists.parquet")):
        sampler = Sampler(there, sample, 1, seed=0)
        assert (sampler.usable, sampler.visits, sampler.steps(1)) == (2, 4, 4)
        assert sampler.skipped == {"no positive": 1, "no negative": 1}
        for epoch in range(3):
            drawn = [sampler(step)[0] for step in range(4 * epoch, 4 * epoch + 4)]
            positives = [(index, *(int(p) for p in positions if there.labels[index][p])) for index, positions in drawn]
            assert sorted(positives) == [(0, 1), (0, 3), (0, 4), (2, 0)]
            assert all(len(positions) == 3 for _, positions in drawn)
        in_order = Sampler(there, sample, 2, seed=0, shuffled=False)
        assert [[index for index, _ in in_order(step)] for step in range(2)] == [[0, 0], [0, 2]]


def test_a_stratified_sample_needs_teacher_scores(make_lists):
    with pytest.raises(UsageError, match=r"draws by teacher scores .* but the lists carry labels"):
        Sampler(make_lists([1, 0]), Sample(size=2, stratified=True), 1, seed=0)
