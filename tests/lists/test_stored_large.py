"""Lists on disk are the lists in memory: same values, same draws, same refusals; checked once, opened at once."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from limbeck.core.errors import DataError, MissingError
from limbeck.lists import Lists, Sample, Sampler, open_lists, read_lists, stored, write_lists
from limbeck.lists.sampler import Shuffle


@pytest.fixture(autouse=True)
def everything_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(stored, "LARGE", 0)
    monkeypatch.setattr(stored, "BATCH_BYTES", 400)
    monkeypatch.setattr(stored, "READ_ROWS", 30)


@pytest.fixture
def lists() -> Lists:
    """100 lists of 1 to 6 passages, some without a positive or a negative."""
    draw = np.random.default_rng(1)
    lengths = draw.integers(1, 7, 100)
    return Lists(
        [f"q{n % 70}" for n in range(100)],
        [[f"d{m}" for m in draw.permutation(40)[:length]] for length in lengths],
        labels=[draw.integers(0, 2, length).astype(np.float32) for length in lengths],
        teacher_scores=[draw.normal(size=length).astype(np.float32) for length in lengths],
        metadata={"collection": "somewhere"},
    )


def steps(lists: Lists, sample: Sample, shuffled: bool = True) -> list[list[tuple[int, list[int]]]]:
    sampler = Sampler(lists, sample, 7, seed=3, stage=1, shuffled=shuffled)
    return [[(index, positions.tolist()) for index, positions in sampler(step)] for step in range(40)]


def test_values_fingerprint_and_draws_are_those_of_lists_in_memory(lists: Lists, tmp_path: Path) -> None:
    write_lists(lists, tmp_path / "lists.parquet")
    found, there = open_lists(tmp_path / "lists.parquet"), read_lists(tmp_path / "lists.parquet")
    assert isinstance(found.query_ids, stored.StoredStrings)
    assert found.query_ids.file.batches >= 10
    assert (found.fingerprint, found.metadata, found.signals) == (there.fingerprint, there.metadata, there.signals)
    for column in ("query_ids", "passage_ids"):
        assert list(getattr(found, column)) == list(getattr(there, column))
    for index in (0, 13, 99, 12, 98, -1):
        one, other = found[index], there[index]
        assert (one.query_id, one.passage_ids) == (other.query_id, other.passage_ids)
        assert one.labels is not None
        assert np.array_equal(one.labels, other.labels)
        assert np.array_equal(one.teacher_scores, other.teacher_scores)
    by_label = (Sample(positives=1, negatives=2), Sample(depth=2, positives=1, negatives=1))
    for sample in (Sample(), Sample(size=2), *by_label):
        assert steps(found, sample) == steps(there, sample)
        one_sampler, other_sampler = (Sampler(each, sample, 1, seed=0) for each in (found, there))
        assert (one_sampler.usable, one_sampler.skipped) == (other_sampler.usable, other_sampler.skipped)
    # What concerns all lists at once still can be had.
    assert Lists(found.query_ids, found.passage_ids, teacher_scores=found.teacher_scores).signals == {"teacher_scores"}


def test_they_are_prepared_once_and_again_when_the_file_changes(
    lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lists.parquet"

    def made() -> dict[str, int]:
        kept = (tmp_path / "cache" / "lists").glob("*.arrow")
        return {file.name: file.stat().st_mtime_ns for file in kept if file.stat().st_size > 100}

    write_lists(lists, path)
    assert open_lists(path).fingerprint == lists.fingerprint
    first = made()
    assert open_lists(path).fingerprint == lists.fingerprint
    Sampler(open_lists(path), Sample(positives=1, negatives=1), 1, seed=0)
    assert made() == first
    assert len(first) == 1
    changed = Lists(lists.query_ids[:50], lists.passage_ids[:50])
    write_lists(changed, path)
    assert open_lists(path).fingerprint == changed.fingerprint
    assert len(made()) == 2
    for file in (tmp_path / "cache" / "lists").glob("*.arrow"):
        file.write_bytes(file.read_bytes()[:100])  # as a disk that lost what was on its way
    assert list(open_lists(path).query_ids) == list(changed.query_ids)
    assert len(made()) == 1


@pytest.mark.parametrize(
    ("column", "values", "text"),
    [
        ("labels", [[0.0, 1.0]] * 79 + [[0.0, -1.0]], r"in the 20 lists behind row 60: row 20 .*labels: -1"),
        ("passage_ids", [["a", "b"]] * 79 + [["a", "a"]], r'passage "a" occurs twice'),
        ("labels", [[0.0, 1.0]] * 60 + [None] * 20, "a signal is absent, expected it in all lists or in none"),
    ],
)
def test_what_is_refused_in_memory_is_refused_here(
    column: str, values: list[list[object]], text: str, tmp_path: Path
) -> None:
    columns = {
        "query_id": [str(n) for n in range(80)], "passage_ids": [["a", "b"]] * 80, "labels": [[0.0, 1.0]] * 80,
    }  # fmt: skip
    pq.write_table(pa.table({**columns, column: values}), tmp_path / "bad.parquet")
    with pytest.raises(DataError, match=rf"bad\.parquet: .*{text}"):
        open_lists(tmp_path / "bad.parquet")
    assert not list((tmp_path / "cache").rglob("*.json"))


def test_a_fingerprint_that_the_content_does_not_have_is_refused(lists: Lists, tmp_path: Path) -> None:
    write_lists(lists, tmp_path / "lists.parquet")
    table = pq.read_table(tmp_path / "lists.parquet")
    pq.write_table(table.slice(1), tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=r"lists\.parquet: metadata fingerprint is .* the content's is"):
        open_lists(tmp_path / "lists.parquet")
    with pytest.raises(MissingError, match="no such file"):
        open_lists(tmp_path / "absent.parquet")


@pytest.mark.parametrize("count", [1, 2, 3, 17, 256, 1000])
def test_a_shuffle_is_a_permutation(count: int) -> None:
    keys = tuple(int(key) for key in np.random.SeedSequence([count]).generate_state(6, np.uint64))
    assert sorted(map(Shuffle(count, keys), range(count))) == list(range(count))


def test_a_shuffle_puts_every_list_anywhere_and_keeps_no_neighbours() -> None:
    count, seeds, together = 1000, 200, np.zeros((10, 10))
    neighbours = 0
    for seed in range(seeds):
        keys = tuple(int(key) for key in np.random.SeedSequence([seed]).generate_state(6, np.uint64))
        order = np.array([Shuffle(count, keys)(place) for place in range(count)])
        np.add.at(together, (np.arange(count) // 100, order // 100), 1)
        neighbours += int((np.diff(order) == 1).sum())
    # Chi-square over 81 degrees of freedom: 126 is its 99.9 % point.
    assert ((together - 10 * seeds) ** 2 / (10 * seeds)).sum() < 126
    assert neighbours == pytest.approx(seeds, abs=45)  # three standard deviations


def test_more_lists_than_are_drawn_whole_are_visited_once_an_epoch_too(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.lists import sampler as module

    module.epoch_order.cache_clear()
    monkeypatch.setattr(module, "DRAWN_WHOLE", 10)
    sampler = Sampler(lists, Sample(), 10, seed=5)
    epochs = [[index for step in range(10 * e, 10 * e + 10) for index, _ in sampler(step)] for e in range(3)]
    module.epoch_order.cache_clear()
    assert all(sorted(epoch) == list(range(100)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_file_order_takes_the_lists_as_they_are(lists: Lists, tmp_path: Path) -> None:
    write_lists(lists, tmp_path / "lists.parquet")
    drawn = steps(open_lists(tmp_path / "lists.parquet"), Sample(), shuffled=False)
    assert [index for step in drawn for index, _ in step] == [number % 100 for number in range(280)]
