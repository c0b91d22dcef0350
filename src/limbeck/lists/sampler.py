"""Sampler: which lists, and which of their passages, a training step sees; a pure function of (seed, stage, step)."""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from limbeck.errors import DataError, UsageError
from limbeck.lists.lists import Lists
from limbeck.lists.sample import Sample

# Keep the two uses of one seed apart. Without them (seed, stage, epoch) and (seed, stage, step, 0) give the same
# stream, because NumPy fills short seeds up with zeros.
_EPOCH, _DRAW = 1, 2


@dataclass(frozen=True)
class Sampler:
    """`sampler(step)` → `lists_per_step` pairs (index of a list, positions of the passages drawn from it, ascending).

    Epoch e visits the usable lists in an order drawn from (seed, stage, e); step s takes the next `lists_per_step` of
    the epochs laid end to end, so a step may cross epochs, and may hold a list twice when there are few. Passages are
    drawn from (seed, stage, step, place in the step). There is no state: resuming is a number, sharding is a slice.

    Where the sample draws positives and negatives, lists without either are left out and counted in `skipped`.
    Numbers are drawn by NumPy's PCG64, seeded through SeedSequence. UsageError for wrong numbers and for a sample that
    needs labels the lists lack; DataError where no list is usable.
    """

    lists: Lists
    sample: Sample
    lists_per_step: int
    seed: int
    stage: int = 0

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
            index = int(self._usable_lists[permutation(self.seed, self.stage, epoch, self.usable)[place]])
            drawn.append((index, self._positions(index, step, slot)))
        return drawn

    @property
    def usable(self) -> int:
        """Number of lists that are visited in an epoch."""
        return len(self._usable_lists)

    @property
    def skipped(self) -> dict[str, int]:
        """Number of lists left out, by reason."""
        if not self.sample.needs_labels:
            return {}
        return dict(Counter(reason for reason in self._reasons if reason))

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every usable list was seen once."""
        return self.steps(1)

    def steps(self, epochs: float) -> int:
        """Steps that `epochs` take, the last one filled up from the epoch that follows."""
        return math.ceil(epochs * self.usable / self.lists_per_step)

    @cached_property
    def _usable_lists(self) -> np.ndarray:
        if not self.sample.needs_labels:
            return np.arange(len(self.lists))
        return np.array([index for index, reason in enumerate(self._reasons) if not reason], dtype=np.int64)

    @cached_property
    def _reasons(self) -> list[str]:
        """Why each list is left out; empty for a usable one."""
        return [self._reason(labels) for labels in self.lists.labels or ()]

    def _reason(self, labels: np.ndarray) -> str:
        positives, negatives = self.sample.pools(labels)
        if not positives.size:
            return "no positive"
        return "" if negatives.size else "no negative"

    def _positions(self, index: int, step: int, slot: int) -> np.ndarray:
        random = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence([self.seed, self.stage, _DRAW, step, slot]))
        )
        labels = None if self.lists.labels is None else self.lists.labels[index]
        return self.sample.draw(len(self.lists.passage_ids[index]), labels, random)


@lru_cache(maxsize=2)
def permutation(seed: int, stage: int, epoch: int, count: int) -> np.ndarray:
    """The order [count] in which an epoch visits its lists; kept only so that it is not drawn again for each list."""
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, stage, _EPOCH, epoch]))).permutation(
        count
    )
    order.flags.writeable = False
    return order
