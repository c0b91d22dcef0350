"""Numbers of a step on their way from its device."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from limbeck.core.errors import LimbeckError
from limbeck.training.step import StepResult


class AsyncScalars:
    """Scalars that are asked of a device now and read later, so that the next step need not wait for this one."""

    def __init__(self, scalars: Sequence[torch.Tensor]) -> None:
        together = torch.stack([scalar.detach().double() for scalar in scalars])
        self._ready = torch.cuda.Event() if together.is_cuda else None  # type: ignore[no-untyped-call]
        self._values = together
        if self._ready:
            self._values = torch.empty(together.shape, dtype=together.dtype, pin_memory=True)
            self._values.copy_(together, non_blocking=True)
            self._ready.record()

    def read(self) -> list[float]:
        """The numbers, once the device has come to them."""
        if self._ready:
            self._ready.synchronize()
        return self._values.tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class StepMetrics:
    """A step, and what is known of it before its device has come to an end with it.

    Attributes:
        step, stage: counted from 1.
        rate: its learning rate.
        warm: whether the rate has risen.
        readings: loss, loss of equal scores, gradient norm, and spread of the scores.
        flops: floating-point operations of the model.
        seconds: until it was handed to the device.
    """

    step: int
    stage: int
    work: StepResult
    rate: float
    warm: bool
    readings: AsyncScalars
    flops: float
    seconds: float

    def record(self, loss: float, equal_loss: float, gradient_norm: float, product_rate: float) -> dict[str, Any]:
        """Its line of the log; `product_rate` is what all devices together reach in plain products, FLOPs a second."""
        work, seconds = self.work, self.seconds
        return {
            "kind": "step",
            "step": self.step,
            "stage": self.stage,
            "loss": loss,
            "equal_loss": equal_loss,
            "learning_rate": self.rate,
            "gradient_norm": gradient_norm,
            "pairs": work.pairs,
            "tokens": work.tokens,
            "padding": 1 - work.tokens / work.computed_tokens,
            "micro_batches": work.micro_batches,
            "seconds": round(seconds, 4),
            "pairs_per_second": round(work.pairs / seconds, 2),
            "tokens_per_second": round(work.tokens / seconds, 1),
            "flops_utilisation": round(self.flops / seconds / product_rate, 4),
        }


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


def score_spread(matrix: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over lists of the scores' standard deviation within the list, a scalar; both are [lists, passages].

    NaN where no list can have two passages.
    """
    if mask.shape[1] < 2:
        return matrix.new_tensor(math.nan)
    count = mask.sum(1).clamp(min=1)
    mean = (matrix * mask).sum(1) / count
    variance = (((matrix - mean[:, None]) * mask) ** 2).sum(1) / count
    return variance.sqrt().mean()


def _smoothed(average: float | None, value: float) -> float:
    return value if average is None else SMOOTHING * average + (1 - SMOOTHING) * value
