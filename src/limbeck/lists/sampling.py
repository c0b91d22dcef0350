"""Sample: which passages of a list a training step sees."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from limbeck.core.errors import DataError, UsageError, nearest
from limbeck.core.hashing import key_of
from limbeck.lists.lists import Lists
from limbeck.lists.ragged import Column


@dataclass(frozen=True)
class Sample:
    """How passages are drawn from a list; all fields None: the whole list.

    depth          only the list's first `depth` passages; with positives and negatives it limits the negatives only
    positives      how many positives to draw without replacement, or all if there are fewer; goes with `negatives`
    negatives      the same for negatives
    size           how many passages to draw without replacement, whatever their labels; not beside positives
    positive_from  smallest label that counts as positive: 2 for TREC-DL's grades
    random         so many negatives more from below `depth`: `negatives` are the hard ones then. Without it and with a
                   depth, all negatives are hard
    replacement    negatives, or `size` passages, are drawn with replacement: always as many as asked for, some of them
                   twice
    first          positives are the list's first ones, not drawn

        Sample(positives=1, negatives=7)         Sample.parse("positives=1, negatives=7")
        Sample(depth=50)                         Sample.from_mapping({"depth": 50})
        POLICIES["paper-infonce"]                Sample.parse("paper-infonce")
    """

    depth: int | None = None
    positives: int | None = None
    negatives: int | None = None
    size: int | None = None
    positive_from: float = 1
    random: int | None = None
    replacement: bool = False
    first: bool = False

    def __post_init__(self) -> None:
        problems = [*_bad_values(self), *_bad_combinations(self)]
        if problems:
            raise UsageError("\n".join(f"sample: {problem}" for problem in problems))

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> "Sample":
        """A sample of a configuration's keys. UsageError names every wrong key at once."""
        known = [field.name for field in fields(cls)]
        unknown = [key for key in mapping if key not in known]
        problems = [
            f'sample: unknown key "{key}", expected {", ".join(known)}{nearest(str(key), known)}' for key in unknown
        ]
        try:
            sample = cls(**{key: value for key, value in mapping.items() if key in known})
        except UsageError as error:
            problems.append(str(error))
        if problems:
            raise UsageError("\n".join(problems))
        return sample

    @classmethod
    def parse(cls, text: str) -> "Sample":
        """A sample written as `str` prints it: `depth=200, positives=1, negatives=7`, or `all`; or a policy's name."""
        if text.strip() in POLICIES:
            return POLICIES[text.strip()]
        values: dict[str, float] = {}
        for part in [] if text.strip() in ("", "all") else text.split(","):
            key, _, value = (piece.strip() for piece in part.partition("="))
            if key in values:
                raise UsageError(f'sample: key "{key}" is given twice')
            values[key] = _number(key, value)
        return cls.from_mapping(values)

    def __str__(self) -> str:
        values = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        changed = [f"{name}={_text(value)}" for name, value, default in values if value != default]
        return ", ".join(changed) or "all"

    @property
    def needs_labels(self) -> bool:
        """Whether drawing looks at labels."""
        return self.positives is not None

    @property
    def passages(self) -> int | None:
        """How many passages are drawn from a list of enough; None where the list's length decides."""
        if self.positives is not None and self.negatives is not None:
            return self.positives + self.negatives + (self.random or 0)
        return self.size

    def pools(self, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Positions of a list's positives and (hard) negatives that may be drawn; labels [passages]."""
        if labels is None:
            raise UsageError("sample: positives and negatives are drawn by label, but the lists carry no labels")
        positive = labels >= self.positive_from
        negatives = np.flatnonzero(~positive[: self.depth])
        return np.flatnonzero(positive), negatives

    def draw(self, length: int, labels: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
        """Positions [drawn] in a list of `length` passages, ascending, so that their order tells nothing of labels."""
        if self.positives is not None and self.negatives is not None:
            positives, negatives = self.pools(labels)
            taken = positives[: self.positives] if self.first else _draw(positives, self.positives, random)
            drawn = [taken, _draw(negatives, self.negatives, random, self.replacement)]
            if self.random is not None and self.depth is not None and labels is not None:
                easy = self.depth + np.flatnonzero(labels[self.depth :] < self.positive_from)
                drawn.append(_draw(easy, self.random, random, self.replacement))
            return np.sort(np.concatenate(drawn))
        positions = np.arange(length)[: self.depth]
        return positions if self.size is None else np.sort(_draw(positions, self.size, random, self.replacement))


def _draw(positions: np.ndarray, count: int, random: np.random.Generator, replacement: bool = False) -> np.ndarray:
    if replacement and len(positions):
        return random.choice(positions, count, replace=True)
    return random.choice(positions, min(count, len(positions)), replace=False, shuffle=False)


def _text(value: float) -> str:
    return str(value).lower() if isinstance(value, int) else f"{value:g}"


def _number(key: str, value: str) -> float:
    if value in ("true", "false"):
        return value == "true"
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return float(value)
    except ValueError:
        policies = f" or a policy's name: {', '.join(POLICIES)}{nearest(key, POLICIES)}"
        raise UsageError(
            f'sample: {key} is "{value}", expected key=number, as in positives=1, negatives=7,{policies}'
        ) from None


def _bad_values(sample: Sample) -> list[str]:
    problems = []
    for name in ("replacement", "first"):
        if not isinstance(getattr(sample, name), bool):
            problems.append(f"{name} is {getattr(sample, name)!r}, expected true or false")
    for name in ("depth", "positives", "negatives", "size", "random"):
        value = getattr(sample, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            problems.append(f"{name} is {value!r}, expected a whole number ≥ 1, or leave it out")
    value = sample.positive_from
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        problems.append(f"positive_from is {value!r}, expected a label above 0")
    return problems


def _bad_combinations(sample: Sample) -> list[str]:
    given = {name for name in ("positives", "negatives", "size") if getattr(sample, name) is not None}
    if sample.random is not None and ("negatives" not in given or sample.depth is None):
        return ["random is given without negatives and depth, expected both: it draws from below the depth"]
    if sample.first and "positives" not in given:
        return ["first is given without positives, expected how many"]
    if sample.replacement and not given:
        return ["replacement is given without negatives or size, expected how many to draw"]
    if given >= {"positives"} and "negatives" not in given:
        return ["positives is given without negatives, expected both: add negatives"]
    if given >= {"negatives"} and "positives" not in given:
        return ["negatives is given without positives, expected both: add positives"]
    if "size" in given and "positives" in given:
        return ["size is given beside positives and negatives, expected one or the other"]
    return []


POLICIES = {
    # Morand et al. 2026 (arXiv 2603.03010): a triple is a list of two, and all of it is seen.
    "paper-triples": Sample(),
    # The first positive in the run's order, and 7 of what is not relevant, drawn with replacement. Queries whose
    # positive was not retrieved are left out where the list source has `add_positives: false`.
    "paper-infonce": Sample(positives=1, negatives=7, replacement=True, first=True),
    # The 50 passages that the LLM ordered.
    "paper-llm": Sample(depth=50),
    # Schlatt et al. 2025 (Rank-DistiLLM): 1 positive and 7 random non-relevant of ColBERTv2's first 200.
    "rank-distillm-infonce": Sample(depth=200, positives=1, negatives=7),
    # The 100 passages that the LLM ordered.
    "rank-distillm-llm": Sample(depth=100),
}
"""Published ways of drawing, by name."""


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
