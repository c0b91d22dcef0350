"""What an objective is, a frozen dataclass from (scores, targets, mask) to one loss; and arithmetic on masked lists."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from limbeck.core.errors import UsageError

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
        scores, own = present(scores.to(dtype), mask), present(own.to(dtype), mask)
        return mean_over_usable(*self.per_list(scores, own, mask))

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


# Arithmetic on ragged lists: every tensor is [lists, passages] with a mask that says where a passage exists. Everything
# is finite wherever its inputs under the mask are, in rows without passages too: a row that is dropped later with
# `torch.where` would otherwise still send NaN into the gradient.


def present(values: Tensor, mask: Tensor) -> Tensor:
    """`values` with 0 where no passage exists, so that NaN or inf in the padding reach neither value nor gradient."""
    return torch.where(mask, values, torch.zeros_like(values))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values under the mask over all but the first dimension, [lists]; 0 where there are none."""
    over = tuple(range(1, values.dim()))
    return present(values, mask).sum(over) / mask.sum(over).clamp(min=1)


def masked_logsumexp(values: Tensor, mask: Tensor) -> Tensor:
    """log Σ exp over the last dimension under the mask; a row without passages gives a finite number to be dropped."""
    kept = mask | ~mask.any(-1, keepdim=True)
    return torch.where(kept, values, torch.full_like(values, -torch.inf)).logsumexp(-1)


def masked_log_softmax(values: Tensor, mask: Tensor) -> Tensor:
    """Log of the softmax over each list's passages, [lists, passages]; finite but meaningless outside the mask."""
    return values - masked_logsumexp(values, mask).unsqueeze(-1)


def passage_pairs(mask: Tensor) -> Tensor:
    """[lists, passages, passages]: True where passages i and j both exist and differ."""
    same = torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    return mask.unsqueeze(-1) & mask.unsqueeze(-2) & ~same


def preferences(targets: Tensor, mask: Tensor) -> Tensor:
    """[lists, passages, passages]: True where both passages exist and target i > target j. A tie is no preference."""
    return passage_pairs(mask) & (targets.unsqueeze(-1) > targets.unsqueeze(-2))


def differences(values: Tensor) -> Tensor:
    """[lists, passages, passages]: value i − value j."""
    return values.unsqueeze(-1) - values.unsqueeze(-2)


def ranks(targets: Tensor, mask: Tensor) -> Tensor:
    """Rank 1 for the highest target of each list, [lists, passages]; tied passages share their average rank."""
    higher = (targets.unsqueeze(-2) > targets.unsqueeze(-1)) & passage_pairs(mask)
    level = (targets.unsqueeze(-2) == targets.unsqueeze(-1)) & passage_pairs(mask)
    return 1 + higher.sum(-1) + level.sum(-1) / 2


def soft_ranks(scores: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """r_i = 1 + Σ_{j≠i} σ((s_j − s_i)/τ), [lists, passages]: differentiable, exact as τ → 0."""
    beaten_by = torch.sigmoid(-differences(scores) / temperature)
    return 1 + present(beaten_by, passage_pairs(mask)).sum(-1)


def mean_over_usable(per_list: Tensor, usable: Tensor) -> Tensor:
    """Mean of [lists] over the usable ones; 0 with zero gradient, still attached to the graph, where none is."""
    return present(per_list, usable).sum() / usable.sum().clamp(min=1)
