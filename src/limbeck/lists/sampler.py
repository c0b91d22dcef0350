"""Sampler: which lists, and which of their passages, a training step sees; a pure function of (seed, stage, step)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from limbeck.core.errors import DataError, UsageError
from limbeck.core.hashing import key_of
from limbeck.lists.lists import Lists
from limbeck.lists.ragged import Column
from limbeck.lists.sampling import Sample

# Keep the two uses of one seed apart. Without them (seed, stage, epoch) and (seed, stage, step, 0) give the same
# stream, because NumPy fills short seeds up with zeros.
_EPOCH, _DRAW = 1, 2


@dataclass(frozen=True)
class Sampler:
    """`sampler(step)` → `lists_per_step` pairs (index of a list, positions of the passages drawn from it, ascending).

    Epoch e visits the usable lists in an order drawn from (seed, stage, e), or in their own unless `shuffled`; step s
    takes the next `lists_per_step` of the epochs laid end to end, so a step may cross epochs, and may hold a list twice
    when there are few. Passages are drawn from (seed, stage, step, place in the step). There is no state: resuming is a
    number, sharding is a slice.

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
        if self.sample.needs_labels and self.lists.labels is None:
            raise UsageError(
                f"sample draws by label ({self.sample}), but the lists carry "
                f"{', '.join(sorted(self.lists.signals)) or 'no signal'}: expected labels; add them to the lists, or "
                "sample by depth and size"
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
            epoch, place = divmod(first + slot, self.usable)
            if self.shuffled:
                place = epoch_order(self.seed, self.stage, epoch, self.usable)(place)
            index = self._usability.index(place)
            drawn.append((index, self._positions(index, step, slot)))
        return drawn

    @property
    def usable(self) -> int:
        """Number of lists that are visited in an epoch."""
        return self._usability.count

    @property
    def skipped(self) -> dict[str, int]:
        """Number of lists left out, by reason."""
        return dict(self._usability.skipped)

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every usable list was seen once."""
        return self.steps(1)

    def steps(self, epochs: float) -> int:
        """Steps that `epochs` take, the last one filled up from the epoch that follows."""
        return math.ceil(epochs * self.usable / self.lists_per_step)

    @cached_property
    def _usability(self) -> "_Usability":
        return _Usability.of(self.lists, self.sample)

    def _positions(self, index: int, step: int, slot: int) -> np.ndarray:
        random = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence([self.seed, self.stage, _DRAW, step, slot]))
        )
        labels = None if self.lists.labels is None else self.lists.labels[index]
        return self.sample.draw(len(self.lists.passage_ids[index]), labels, random)


@dataclass(frozen=True)
class _Usability:
    """Which of `total` lists a sample can draw from, in a bit for each.

    Attributes:
        bits: packed, [total / 8]; None where all lists can be drawn from.
        before: usable lists before each block of `_BLOCK` lists, and of all.
    """

    total: int
    bits: np.ndarray | None = None
    before: np.ndarray | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many are usable."""
        return self.total if self.before is None else int(self.before[-1])

    def index(self, place: int) -> int:
        """The list that is the `place`-th usable one."""
        if self.bits is None or self.before is None:
            return place
        block = int(np.searchsorted(self.before, place, side="right")) - 1
        bits = np.unpackbits(self.bits[block * _BLOCK // 8 : (block + 1) * _BLOCK // 8])
        return block * _BLOCK + int(np.flatnonzero(bits)[place - int(self.before[block])])

    @classmethod
    def of(cls, lists: Lists, sample: Sample) -> "_Usability":
        """Look through the labels of all lists, if the sample draws by them."""
        labels, total = lists.labels, len(lists)
        if not sample.needs_labels or not isinstance(labels, Column):
            return cls(total)
        found = labels.kept(key_of([sample.positive_from, sample.depth]), lambda: _look_through(labels, sample))
        counts, bits = found[: _REASONS * 8].view(np.int64), found[_REASONS * 8 :]
        if counts[0] == total:
            return cls(total)
        blocks = (np.unpackbits(bits[first : first + _BLOCK // 8]).sum() for first in range(0, len(bits), _BLOCK // 8))
        before = np.concatenate([[0], np.cumsum(np.fromiter(blocks, np.int64))])
        skipped = {"no positive": int(counts[1]), "no negative": int(counts[2])}
        return cls(total, bits, before, {reason: count for reason, count in skipped.items() if count})


_BLOCK = 1 << 16
_REASONS = 3


def _look_through(labels: Column[np.ndarray], sample: Sample) -> np.ndarray:
    """Bytes of three counts (usable lists, ones without a positive, others without a negative), and a bit a list."""
    usable, counts, done = np.zeros(len(labels), bool), np.zeros(_REASONS, np.int64), 0
    for chunk in labels.chunks():
        if not len(chunk):
            continue
        lengths = chunk.value_lengths().to_numpy()
        starts = np.cumsum(lengths) - lengths
        positive = chunk.flatten().to_numpy() >= sample.positive_from
        within = np.arange(len(positive)) - np.repeat(starts, lengths) < (sample.depth or len(positive))
        positives, negatives = (np.logical_or.reduceat(values, starts) for values in (positive, ~positive & within))
        reasons = np.where(~positives, 1, np.where(~negatives, 2, 0))
        counts += np.bincount(reasons, minlength=_REASONS)
        usable[done : done + len(chunk)] = reasons == 0
        done += len(chunk)
    return np.concatenate([counts.view(np.uint8), np.packbits(usable)])


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
