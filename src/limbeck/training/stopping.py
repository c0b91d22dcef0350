"""What ends a training before its last step: numbers that cannot come to anything, and a wish to stop."""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from limbeck.core.errors import LimbeckError

COLLAPSED_SPREAD = 1e-6  # standard deviation of scores within a list; a new head starts near 1e-4
COLLAPSED_STEPS = 100
STUCK_SHARE = 0.999  # of the loss that equal scores would have
STUCK_STEPS = 1000
SMOOTHING = 0.99  # share of the old average in the new one


class TrainingStopped(LimbeckError):
    """A training that was stopped because its numbers went wrong. The text says when, why and what may help."""

    exit_code = 5


@dataclass
class DivergenceMonitor:
    """Looks at the numbers of every step of a stage; plain values, kept in checkpoints.

    Attributes:
        collapsed_steps: how many steps up to now gave all passages of a list the same score.
        stuck_steps: for how many steps up to now the loss has been no better than that of equal scores.
        loss, equal_loss: smoothed loss, and the loss that the same lists would have with equal scores.
    """

    collapsed_steps: int = 0
    stuck_steps: int = 0
    loss: float | None = None
    equal_loss: float | None = None

    def update(
        self, step: int, loss: float, equal_loss: float, gradient_norm: float, score_spread: float, warm: bool
    ) -> None:
        """Look at one step.

        Args:
            score_spread: of the scores within a list; NaN where lists have one passage.
            warm: whether the learning rate has risen; before, no loss need fall.

        Raises:
            TrainingStopped: a loss or gradient norm that is NaN or infinite; scores that have collapsed for too many
                steps; a loss that has long been that of equal scores: ln n for InfoNCE over n passages, ln 2 for
                RankNet.
        """
        for name, value in (("loss", loss), ("gradient norm", gradient_norm)):
            if not math.isfinite(value):
                raise TrainingStopped(
                    f"step {step}: the {name} is {value}. Likely remedies: a lower learning_rate, a longer warmup, "
                    "precision fp32, or teacher scores on a smaller scale. The last checkpoint is intact."
                )
        self.collapsed_steps = self.collapsed_steps + 1 if score_spread < COLLAPSED_SPREAD else 0
        if self.collapsed_steps >= COLLAPSED_STEPS:
            raise TrainingStopped(
                f"step {step}: for {self.collapsed_steps} steps every passage of a list got the same score, so nothing "
                "is learned. Likely remedies: a lower learning_rate, a longer warmup, or another seed."
            )
        self.loss, self.equal_loss = _smoothed(self.loss, loss), _smoothed(self.equal_loss, equal_loss)
        stuck = warm and self.loss >= STUCK_SHARE * self.equal_loss > 0
        self.stuck_steps = self.stuck_steps + 1 if stuck else 0
        if self.stuck_steps >= STUCK_STEPS:
            raise TrainingStopped(
                f"step {step}: for {self.stuck_steps} steps the loss ({self.loss:.4f}, smoothed) has been no better "
                f"than that of equal scores ({self.equal_loss:.4f}), so nothing is learned. Likely remedies: another "
                "learning_rate (a lower one if the loss once was below), a longer warmup, less dropout, more passages "
                "in a list, or another seed."
            )


def _smoothed(average: float | None, value: float) -> float:
    return value if average is None else SMOOTHING * average + (1 - SMOOTHING) * value


class StepAbandoned(BaseException):
    """A step that was broken off before it changed anything."""


class SignalHandler:
    """Notes the wish while it is entered, in the main thread; elsewhere there are no signals to note.

    Args:
        hear: called once, at the moment of the first wish.
    """

    def __init__(self, hear: Callable[[], None] = lambda: None) -> None:
        self.asked, self._hear, self._may_break_off = False, hear, False

    def __enter__(self) -> "SignalHandler":
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def may_break_off(self, allowed: bool = True) -> Iterator[None]:
        """Within it a wish is obeyed at once, by StepAbandoned, wherever Python happens to be."""
        self._may_break_off = allowed
        try:
            if allowed and self.asked:
                raise StepAbandoned
            yield
        finally:
            self._may_break_off = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if self._may_break_off:
            self._may_break_off = False
            raise StepAbandoned
        if first:
            self._hear()
