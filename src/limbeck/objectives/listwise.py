"""Objectives over a whole list as one distribution or one ranking."""

from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.objectives.objective import (
    Single,
    check_number,
    masked_log_softmax,
    masked_logsumexp,
    masked_mean,
    preferences,
    present,
    ranks,
    soft_ranks,
)

__all__ = ["ADRMSE", "KL", "InfoNCE", "ListMLE", "ListNet"]


@dataclass(frozen=True)
class InfoNCE(Single):
    """Negative log of the probability that a softmax over the list's own passages gives to its positives.

        loss = −log Σ_{i positive} softmax(s/τ)_i

    No other list's passages serve as negatives.

    Signal: labels; above 0 is positive.
    Shapes: scores, targets, mask [lists, passages] → scalar.
    Usable lists: those with a positive and a negative.
    Source: van den Oord, Li and Vinyals 2018, Representation Learning with Contrastive Predictive Coding
        (arXiv 1807.03748), the InfoNCE loss; for re-rankers Gao, Dai and Callan 2021 (arXiv 2101.08751), the LCE loss.

    >>> import torch
    >>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
    >>> round(InfoNCE()(scores, labels, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.2413
    """

    name = "InfoNCE"
    signal = "labels"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "temperature")

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        positive = mask & (targets > 0)
        negative = mask & ~positive
        logits = scores / self.temperature
        loss = masked_logsumexp(logits, mask) - masked_logsumexp(logits, positive)
        return loss, positive.any(-1) & negative.any(-1)


@dataclass(frozen=True)
class ListNet(Single):
    """Cross-entropy between the teacher's and the student's distribution over the list.

        loss = −Σ_i softmax(t/τ)_i · log softmax(s/τ)_i

    Signal: teacher_scores.
    Shapes: scores, targets, mask [lists, passages] → scalar.
    Usable lists: those with two passages or more; equal scores of a teacher are a signal too.
    Source: Cao et al. 2007, Learning to Rank: From Pairwise Approach to Listwise Approach (ICML): cross-entropy of the
        top-one probabilities. τ on both sides as in Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), without
        its factor τ².

    >>> import torch
    >>> scores, teacher = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[3.0, 2.0, -1.0]])
    >>> round(ListNet()(scores, teacher, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.679
    """

    name = "ListNet"
    signal = "teacher_scores"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "temperature")

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        teacher = masked_log_softmax(targets / self.temperature, mask)
        student = masked_log_softmax(scores / self.temperature, mask)
        return -present(teacher.exp() * student, mask).sum(-1), mask.sum(-1) > 1


@dataclass(frozen=True)
class KL(Single):
    """Kullback-Leibler divergence of the student's distribution from the teacher's: ListNet less the teacher's entropy.

        loss = Σ_i softmax(t/τ)_i · (log softmax(t/τ)_i − log softmax(s/τ)_i)

    Its gradient is ListNet's; its value is 0 where student and teacher agree.

    Signal: teacher_scores.
    Shapes: scores, targets, mask [lists, passages] → scalar.
    Usable lists: those with two passages or more; equal scores of a teacher are a signal too.
    Source: Kullback and Leibler 1951, On Information and Sufficiency, over the distributions of Hinton, Vinyals and
        Dean 2015 (arXiv 1503.02531), without its factor τ².

    >>> import torch
    >>> scores, teacher = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[3.0, 2.0, -1.0]])
    >>> round(KL()(scores, teacher, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.0342
    """

    name = "KL"
    signal = "teacher_scores"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "temperature")

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        teacher = masked_log_softmax(targets / self.temperature, mask)
        student = masked_log_softmax(scores / self.temperature, mask)
        return present(teacher.exp() * (teacher - student), mask).sum(-1), mask.sum(-1) > 1


@dataclass(frozen=True)
class ListMLE(Single):
    """Negative log-likelihood of the teacher's order under the Plackett-Luce model, per passage.

        loss = −1/n Σ_i [s_i − log Σ_{j = i or t_j < t_i} exp(s_j)]

    Ties: a passage competes with itself and with all that the teacher puts strictly below it, never with its equals.
    Without ties this is Plackett-Luce; with them it does not depend on how the tied passages are stored, and it never
    pulls equals apart or together.

    Signal: teacher_order, higher is better.
    Shapes: scores, targets, mask [lists, passages] → scalar. Memory grows with passages².
    Usable lists: those with an untied pair.
    Source: Xia et al. 2008, Listwise Approach to Learning to Rank: Theory and Algorithm (ICML), the likelihood loss;
        here divided by the number of passages.

    >>> import torch
    >>> scores, order = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[2, 3, 1]])
    >>> round(ListMLE()(scores, order, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.5966
    """

    name = "ListMLE"
    signal = "teacher_order"

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        below = preferences(targets, mask)
        itself = torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
        rivals = scores.unsqueeze(-2).expand(below.shape)
        return masked_mean(masked_logsumexp(rivals, below | itself) - scores, mask), below.any((-2, -1))


@dataclass(frozen=True)
class ADRMSE(Single):
    """Squared distance between the student's soft ranks and the teacher's ranks, discounted by the teacher's rank.

        loss = 1/n Σ_i (r_i − π_i)² / log₂(π_i + 1),  r_i = 1 + Σ_{j≠i} σ((s_j − s_i)/τ)

    Signal: teacher_order, higher is better. Ties share their average rank π.
    Shapes: scores, targets, mask [lists, passages] → scalar. Memory grows with passages².
    Usable lists: those with an untied pair.
    Source: Schlatt et al. 2025, Rank-DistiLLM (ECIR; arXiv 2405.07920), the approximate discounted rank mean squared
        error, with the soft ranks of Qin, Liu and Li 2010.

    >>> import torch
    >>> scores, order = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[2, 3, 1]])
    >>> round(ADRMSE()(scores, order, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.4669
    """

    name = "ADR-MSE"
    signal = "teacher_order"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "temperature")

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        wanted = ranks(targets, mask).to(scores.dtype)
        distance = (soft_ranks(scores, mask, self.temperature) - wanted).square()
        return masked_mean(distance / torch.log2(wanted + 1), mask), preferences(targets, mask).any((-2, -1))
