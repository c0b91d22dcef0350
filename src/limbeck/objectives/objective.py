"""What an objective is: a frozen dataclass from (scores, targets, mask) to one loss."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from limbeck.core.errors import UsageError
from limbeck.objectives import masked

SIGNALS = ("labels", "teacher_scores", "teacher_order")
"""What a list may carry: labels ≥ 0, a teacher's scores, a teacher's order (higher is better)."""

Targets = Tensor | Mapping[str, Tensor]


class Objective(ABC):
    """A loss over lists of scores. `str(objective)` parses back with `limbeck.objectives.parse`."""

    @property
    @abstractmethod
    def signals(self) -> frozenset[str]:
        """Names of the signals that `targets` must hold."""

    @property
    def signal(self) -> str:
        """The one signal read. UsageError for a sum that reads several."""
        if len(self.signals) > 1:
            raise UsageError(f"{self} reads several signals ({', '.join(sorted(self.signals))}): ask for .signals")
        return next(iter(self.signals))

    @abstractmethod
    def __call__(self, scores: Tensor, targets: Targets, mask: Tensor) -> Tensor:
        """The mean loss over the lists that carry a usable signal, a scalar; 0 with zero gradient if none does.

        `scores` [lists, passages]: student logits of any float dtype, computed in float32 (float64 stays).
        `targets` [lists, passages], or a mapping from signal to such tensors. `mask` [lists, passages]: True where a
        passage exists; what scores and targets hold elsewhere does not matter, NaN and inf included.
        UsageError where a signal is missing or shapes differ.
        """


@dataclass(frozen=True)
class Single(Objective):
    """One named objective. A subclass gives `name`, `signal`, its parameters as fields, and `per_list`."""

    name: ClassVar[str]

    @property
    def signals(self) -> frozenset[str]:
        return frozenset({self.signal})

    @abstractmethod
    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Each list's loss and whether the list is usable, both [lists].

        All three inputs are [lists, passages]; scores and targets share a float dtype and are 0 outside the mask.
        The loss of an unusable list is dropped, but must be finite.
        """

    def __call__(self, scores: Tensor, targets: Targets, mask: Tensor) -> Tensor:
        own = self._own(targets)
        if not scores.shape == own.shape == mask.shape or scores.dim() != 2:
            raise UsageError(
                f"{self} expects scores, targets and mask of one shape [lists, passages]; found "
                f"{tuple(scores.shape)}, {tuple(own.shape)} and {tuple(mask.shape)}"
            )
        dtype = torch.promote_types(scores.dtype, torch.float32)
        mask = mask.bool()
        scores, own = masked.present(scores.to(dtype), mask), masked.present(own.to(dtype), mask)
        return masked.mean_over_usable(*self.per_list(scores, own, mask))

    def _own(self, targets: Targets) -> Tensor:
        if isinstance(targets, Tensor):
            return targets
        if self.signal not in targets:
            raise UsageError(f"{self} reads {self.signal}; the targets hold {', '.join(sorted(targets)) or 'nothing'}")
        return targets[self.signal]

    def __str__(self) -> str:
        given = [f"{f.name}={getattr(self, f.name)}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{self.name}({', '.join(given)})" if given else self.name


def check_number(objective: Single, parameter: str, *, zero: bool = False) -> None:
    """Keep a parameter as a float, or UsageError unless it is finite and positive (or 0 where `zero`)."""
    value = getattr(objective, parameter)
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and (number > 0 or (zero and number == 0))):
        expected = "0 or a finite number above it" if zero else "a finite number above 0"
        raise UsageError(f"{objective.name}: {parameter} is {value!r}; expected {expected}")
    object.__setattr__(objective, parameter, number)
