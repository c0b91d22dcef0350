"""What stops a training that cannot come to anything."""

import math

import torch

from limbeck.errors import LimbeckError

COLLAPSED_SPREAD = 1e-6  # standard deviation of scores within a list; a new head starts near 1e-4
COLLAPSED_STEPS = 100


class TrainingStopped(LimbeckError):
    """A training that was stopped because its numbers went wrong. The text says when, why and what may help."""

    exit_code = 5


def check_finite(step: int, loss: float, gradient_norm: float) -> None:
    """Raise TrainingStopped for a loss or gradient norm that is NaN or infinite."""
    for name, value in (("loss", loss), ("gradient norm", gradient_norm)):
        if not math.isfinite(value):
            raise TrainingStopped(
                f"step {step}: the {name} is {value}. Likely remedies: a lower learning_rate, a longer warmup, "
                "precision fp32, or teacher scores on a smaller scale. The last checkpoint is intact."
            )


def spread(matrix: torch.Tensor, mask: torch.Tensor) -> float:
    """Mean over lists of the scores' standard deviation within the list; matrix and mask [lists, passages]."""
    count = mask.sum(1).clamp(min=1)
    mean = (matrix * mask).sum(1) / count
    variance = (((matrix - mean[:, None]) * mask) ** 2).sum(1) / count
    return float(variance.sqrt().mean())


def check_spread(step: int, collapsed_steps: int) -> None:
    """Raise TrainingStopped when all passages of a list have got the same score for too many steps."""
    if collapsed_steps >= COLLAPSED_STEPS:
        raise TrainingStopped(
            f"step {step}: for {collapsed_steps} steps every passage of a list got the same score, so nothing is "
            "learned. Likely remedies: a lower learning_rate, a longer warmup, or another seed."
        )
