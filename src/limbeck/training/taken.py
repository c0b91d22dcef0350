"""A step taken, whose numbers are still on their way from the device."""

from dataclasses import dataclass
from typing import Any

from limbeck.training.readings import Readings
from limbeck.training.step import Work


@dataclass(frozen=True)
class Taken:
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
    work: Work
    rate: float
    warm: bool
    readings: Readings
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
