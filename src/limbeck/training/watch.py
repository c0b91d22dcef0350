"""What stops a training that cannot come to anything."""

import math
from dataclasses import dataclass

import torch

from limbeck.errors import LimbeckError

COLLAPSED_SPREAD = 1e-6  # standard deviation of scores within a list; a new head starts near 1e-4
COLLAPSED_STEPS = 100
STUCK_SHARE = 0.999  # of the loss that equal scores would have
STUCK_STEPS = 1000
SMOOTHING = 0.99  # share of the old average in the new one


class TrainingStopped(LimbeckError):
    """A training that was stopped because its numbers went wrong. The text says when, why and what may help."""

    exit_code = 5


@dataclass
class Watch:
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

    def see(self, step: int, loss: float, equal_loss: float, gradient_norm: float, spread: float, warm: bool) -> None:
        """Look at one step.

        Args:
            spread: of the scores within a list; NaN where lists have one passage.
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
        self.collapsed_steps = self.collapsed_steps + 1 if spread < COLLAPSED_SPREAD else 0
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


def spread(matrix: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
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
