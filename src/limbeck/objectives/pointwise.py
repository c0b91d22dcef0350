"""Objectives that look at one passage at a time."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from limbeck.objectives.objective import Single, masked_mean

__all__ = ["BCE", "MSE"]


@dataclass(frozen=True)
class BCE(Single):
    """Binary cross-entropy of the relevance that a logit states.

        loss = 1/n Σ_i softplus(s_i) − y_i·s_i

    Signal: labels. y is the probability of relevance: grades above 1 count as 1, as the loss has no minimum beyond.
    Shapes: scores, targets, mask [lists, passages] → scalar.
    Usable lists: every list with a passage.
    Source: Nogueira and Cho 2019, Passage Re-ranking with BERT (arXiv 1901.04085), the cross-entropy, as a mean.

    >>> import torch
    >>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
    >>> round(BCE()(scores, labels, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.4714
    """

    name = "BCE"
    signal = "labels"

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return masked_mean(softplus(scores) - targets.clamp(0, 1) * scores, mask), mask.any(-1)


@dataclass(frozen=True)
class MSE(Single):
    """Squared distance from the teacher's scores.

        loss = 1/n Σ_i (s_i − t_i)²

    Signal: teacher_scores.
    Shapes: scores, targets, mask [lists, passages] → scalar.
    Usable lists: every list with a passage.
    Source: Hinton, Vinyals and Dean 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531):
        matching logits, without the factor 1/2.

    >>> import torch
    >>> scores, teacher = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[3.0, 2.0, -1.0]])
    >>> round(MSE()(scores, teacher, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    1.0833
    """

    name = "MSE"
    signal = "teacher_scores"

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return masked_mean((scores - targets).square(), mask), mask.any(-1)
