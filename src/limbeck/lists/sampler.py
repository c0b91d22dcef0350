"""Sampler: which lists, and which of their passages, a training step sees; a pure function of (seed, stage, step)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from limbeck.core.errors import DataError, UsageError
from limbeck.core.json_files import key_of
from limbeck.lists.lists import Lists
from limbeck.lists.ragged import Column
from limbeck.lists.sampling import Sample

# Keep the two uses of one seed apart. Without them (seed, stage, epoch) and (seed, stage, step, 0) give the same
# stream, because NumPy fills short seeds up with zeros.
_EPOCH, _DRAW = 1, 2


@dataclass(frozen=True)
class Sampler:
    """`sampler(step)` → `lists_per_step` pairs (index of a list, positions of the passages drawn from it, ascending).

    Epoch e visits the usable lists, each once (with `each_positive`, once for each of its positives), in an order drawn
    from (seed, stage, e), or in their own unless `shuffled`; step s takes the next `lists_per_step` of the epochs laid
    end to end, so a step may cross epochs, and may hold a list twice when there are few. Passages are drawn from (seed,
    stage, step, place in the step). There is no state: resuming is a number, sharding is a slice.

    Where the sample draws positives and negatives, lists without either are left out and counted in `skipped`.
    Numbers are drawn by NumPy's PCG64, seeded through SeedSequence. UsageError for wrong numbers and for a sample that
    needs labels the lists lack; DataError where no list is usable.
    """

    lists: Lists
    sample: Sample
    lists_per_step: int
    seed: int
    stage: int = 0
    shuffled: bool = True

    def __post_init__(self) -> None:
        if self.lists_per_step < 1:
            raise UsageError(f"lists_per_step is {self.lists_per_step}, expected a whole number ≥ 1")
        for name, value in (("seed", self.seed), ("stage", self.stage)):
            if not 0 <= value < 2**32:
                raise UsageError(f"{name} is {value}, expected a whole number from 0 to 2^32 - 1")
        absent = sorted(self.sample.needed - self.lists.signals)
        if absent:
            by, there = " and ".join(absent).replace("_", " "), ", ".join(sorted(self.lists.signals)) or "no signal"
            raise UsageError(
                f"sample draws by {by} ({self.sample}), but the lists carry {there}: expected {by}; add them to the "
                "lists, or sample by depth and size"
            )
        if not self.usable:
            reasons = ", ".join(f"{count} with {reason}" for reason, count in self.skipped.items()) or "there are none"
            raise DataError(f"no usable list among {len(self.lists)}: {reasons}; sample is {self.sample}")

    def __call__(self, step: int) -> list[tuple[int, np.ndarray]]:
        if step < 0:
            raise UsageError(f"step is {step}, expected ≥ 0")
        first = step * self.lists_per_step
        drawn = []
        for slot in range(self.lists_per_step):
            epoch, place = divmod(first + slot, self.visits)
            if self.shuffled:
                place = epoch_order(self.seed, self.stage, epoch, self.visits)(place)
            index, positive = self._usability.visited(place)
            drawn.append((index, self._positions(index, positive, step, slot)))
        return drawn

    @property
    def usable(self) -> int:
        """Number of lists that are visited in an epoch."""
        return self._usability.usable

    @property
    def visits(self) -> int:
        """Number of visits in an epoch: of usable lists, or of their positives."""
        return self._usability.visits

    @property
    def skipped(self) -> dict[str, int]:
        """Number of lists left out, by reason."""
        return dict(self._usability.skipped)

    def steps(self, epochs: float) -> int:
        """Steps that `epochs` take, the last one filled up from the epoch that follows."""
        return math.ceil(epochs * self.visits / self.lists_per_step)

    @cached_property
    def _usability(self) -> "_Usability":
        return _Usability.of(self.lists, self.sample)

    def _positions(self, index: int, positive: int, step: int, slot: int) -> np.ndarray:
        length = len(self.lists.passage_ids[index])
        if not self.sample.is_random:  # a generator takes longer to seed than such a list takes otherwise
            return self.sample.first_positions(length)
        random = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence([self.seed, self.stage, _DRAW, step, slot]))
        )
        labels = None if self.lists.labels is None else self.lists.labels[index]
        taught = self.lists.teacher_scores if self.sample.stratified else None
        scores = None if taught is None else taught[index]
        return self.sample.draw(length, labels, random, scores, positive)


@dataclass(frozen=True)
class _Usability:
    """How often an epoch visits each of `total` lists: not, once, or once for each of its positives.

    Attributes:
        times: [total] in 16 bits a list, or in one, packed, where that is enough; None where all are visited once.
        before: visits before each block of `_BLOCK` lists, and of all.
        skipped: why lists are not visited → how many.
    """

    total: int
    times: np.ndarray | None = None
    before: np.ndarray | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def usable(self) -> int:
        """How many lists are visited."""
        return self.total - sum(self.skipped.values())

    @property
    def visits(self) -> int:
        """How many visits there are."""
        return self.total if self.before is None else int(self.before[-1])

    def visited(self, place: int) -> tuple[int, int]:
        """The list of the `place`-th visit, and the how-many-th visit of that list it is."""
        if self.times is None or self.before is None:
            return place, 0
        block = int(np.searchsorted(self.before, place, side="right")) - 1
        ends = np.cumsum(_block(self.times, block), dtype=np.int64)
        within = place - int(self.before[block])
        found = int(np.searchsorted(ends, within, side="right"))
        return block * _BLOCK + found, within - int(ends[found - 1]) if found else within

    @classmethod
    def of(cls, lists: Lists, sample: Sample) -> "_Usability":
        """Look through the labels of all lists, if the sample draws by them."""
        labels, total = lists.labels, len(lists)
        if not sample.needs_labels or not isinstance(labels, Column):
            return cls(total)
        described = [sample.positive_from, sample.depth, *(["each positive"] if sample.each_positive else [])]
        found = labels.kept(key_of(described), lambda: _look_through(labels, sample))
        counts, times = found[: _REASONS * 8].view(np.int64), found[_REASONS * 8 :]
        if sample.each_positive:
            times = times.view(np.uint16)
        elif counts[0] == total:
            return cls(total)
        sums = (int(_block(times, number).sum()) for number in range(math.ceil(total / _BLOCK)))
        before = np.concatenate([[0], np.cumsum(np.fromiter(sums, np.int64))])
        skipped = {"no positive": int(counts[1]), "no negative": int(counts[2])}
        return cls(total, times, before, {reason: count for reason, count in skipped.items() if count})


_BLOCK = 1 << 16
_REASONS = 3


def _block(times: np.ndarray, number: int) -> np.ndarray:
    """How often each list of a block is visited."""
    if times.dtype == np.uint16:
        return times[number * _BLOCK : (number + 1) * _BLOCK]
    return np.unpackbits(times[number * _BLOCK // 8 : (number + 1) * _BLOCK // 8])


def _look_through(labels: Column[np.ndarray], sample: Sample) -> np.ndarray:
    """Bytes of three counts (usable lists, ones without a positive, others without a negative), and of the visits.

    A bit for each list, or 16 where each positive is one.
    """
    times, counts, done = np.zeros(len(labels), np.uint16), np.zeros(_REASONS, np.int64), 0
    for chunk in labels.chunks():
        if not len(chunk):
            continue
        lengths = chunk.value_lengths().to_numpy()
        starts = np.cumsum(lengths) - lengths
        positive = chunk.flatten().to_numpy() >= sample.positive_from
        within = np.arange(len(positive)) - np.repeat(starts, lengths) < (sample.depth or len(positive))
        positives = np.add.reduceat(positive, starts, dtype=np.int64)
        negatives = np.logical_or.reduceat(~positive & within, starts)
        reasons = np.where(positives == 0, 1, np.where(~negatives, 2, 0))
        counts += np.bincount(reasons, minlength=_REASONS)
        times[done : done + len(chunk)] = np.where(reasons == 0, np.minimum(positives, 0xFFFF), 0)
        done += len(chunk)
    packed = times.view(np.uint8) if sample.each_positive else np.packbits(times > 0)
    return np.concatenate([counts.view(np.uint8), packed])


DRAWN_WHOLE = 1 << 22
"""Lists of an epoch up to which its order is drawn whole (32 MiB); for more of them it is a function of the place."""


@lru_cache(maxsize=2)
def epoch_order(seed: int, stage: int, epoch: int, count: int) -> Callable[[int], int]:
    """From a place in an epoch to the list that is visited there: a permutation of `count`, drawn from the rest."""
    state = np.random.SeedSequence([seed, stage, _EPOCH, epoch])
    if count > DRAWN_WHOLE:
        return Shuffle(count, tuple(int(key) for key in state.generate_state(_ROUNDS, np.uint64)))
    order = np.random.Generator(np.random.PCG64(state)).permutation(count)
    return lambda place: int(order[place])


_ROUNDS = 6
_64_BITS = (1 << 64) - 1


@dataclass(frozen=True)
class Shuffle:
    """A permutation of `count` numbers that takes no memory: shuffle(place) → number.

    A Feistel network permutes the numbers below a power of four; one that leads out of the range is permuted again
    until it is back in it ("cycle walking": Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains"). The round
    function is the finaliser of SplitMix64 (Steele, Lea and Flood 2014).

    Attributes:
        keys: one of 64 bits for each round.
    """

    count: int
    keys: tuple[int, ...]

    def __call__(self, place: int) -> int:
        half = max(1, ((self.count - 1).bit_length() + 1) // 2)
        mask = (1 << half) - 1
        while True:
            left, right = place >> half, place & mask
            for key in self.keys:
                left, right = right, left ^ (_mixed(right ^ key) & mask)
            place = left << half | right
            if place < self.count:
                return place


def _mixed(number: int) -> int:
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _64_BITS
    return number ^ number >> 31
