"""Objectives over pairs of passages of one list."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus

from limbeck.objectives.objective import Single, check_number, differences, masked_mean, preferences, present

__all__ = ["DistillRankNET", "Hinge", "MarginMSE", "RankNet"]


@dataclass(frozen=True)
class Hinge(Single):
    """Every positive passage is to score above every negative one by a margin.

        loss = mean over positives p and negatives n of max(0, margin − s_p + s_n)

    Signal: labels; above 0 is positive.
    Shapes: scores, targets, mask [lists, passages] → scalar.
    Usable lists: those with a positive and a negative.
    Source: Joachims 2002, Optimizing Search Engines using Clickthrough Data (KDD), Optimization Problem 1: the slack
        of its constraints, here without its regulariser.

    >>> import torch
    >>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
    >>> round(Hinge()(scores, labels, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.0
    """

    name = "Hinge"
    signal = "labels"
    margin: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "margin")

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        contrasts = preferences((targets > 0).to(scores.dtype), mask)
        return masked_mean(relu(self.margin - differences(scores)), contrasts), contrasts.any((-2, -1))


@dataclass(frozen=True)
class RankNet(Single):
    """Logistic loss on every pair that the teacher orders.

        loss = mean over pairs with t_i > t_j of softplus(−(s_i − s_j))

    Signal: teacher_order, higher is better. Ties form no pair.
    Shapes: scores, targets, mask [lists, passages] → scalar. Memory grows with passages².
    Usable lists: those with an untied pair.
    Source: Burges et al. 2005, Learning to Rank using Gradient Descent (ICML), the cost with target probability 1.

    >>> import torch
    >>> scores, order = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[2, 3, 1]])
    >>> round(RankNet()(scores, order, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.6505
    """

    name = "RankNet"
    signal = "teacher_order"

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        preferred = preferences(targets, mask)
        return masked_mean(softplus(-differences(scores)), preferred), preferred.any((-2, -1))


@dataclass(frozen=True)
class DistillRankNET(RankNet):
    """RankNet on the order that an LLM gave, under the name it has in the study that limbeck reproduces.

        loss = mean over pairs with t_i > t_j of softplus(−(s_i − s_j))

    Signal: teacher_order, higher is better. Ties form no pair.
    Shapes: scores, targets, mask [lists, passages] → scalar. Memory grows with passages².
    Usable lists: those with an untied pair.
    Source: Morand et al. 2026, Reproducing and Comparing Distillation Techniques for Cross-Encoders
        (arXiv 2603.03010); the loss is Burges et al. 2005 (ICML).

    >>> import torch
    >>> scores, order = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[2, 3, 1]])
    >>> round(DistillRankNET()(scores, order, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.6505
    """

    name = "DistillRankNET"


@dataclass(frozen=True)
class MarginMSE(Single):
    """Squared distance between the student's and the teacher's margins, over all pairs of a list.

        loss = mean over pairs of ((s_i − s_j) − (t_i − t_j))² = 2/(n − 1) Σ_i (d_i − mean d)², d = s − t

    The mean over pairs is the spread of d, so its cost grows with the passages alone. A list of two is the published
    triple.

    Signal: teacher_scores.
    Shapes: scores, targets, mask [lists, passages] → scalar.
    Usable lists: those with two passages or more.
    Source: Hofstätter et al. 2020, Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
        Distillation (arXiv 2010.02666), the Margin-MSE loss, which is stated for one positive and one negative.

    >>> import torch
    >>> scores, teacher = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[3.0, 2.0, -1.0]])
    >>> round(MarginMSE()(scores, teacher, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    1.1667
    """

    name = "MarginMSE"
    signal = "teacher_scores"

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        gap = scores - targets
        spread = present(gap - masked_mean(gap, mask).unsqueeze(-1), mask).square().sum(-1)
        passages = mask.sum(-1)
        return 2 * spread / (passages - 1).clamp(min=1), passages > 1
