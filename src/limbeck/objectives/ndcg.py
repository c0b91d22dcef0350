"""Objectives made from nDCG: pairs weighted by what they are worth in it, and its smooth approximation."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from limbeck.core.errors import UsageError
from limbeck.objectives.objective import (
    Single,
    check_number,
    differences,
    masked_mean,
    passage_pairs,
    preferences,
    present,
    ranks,
    soft_ranks,
)

__all__ = ["ApproxNDCG", "LambdaRank", "NDCGLoss2pp"]


@dataclass(frozen=True)
class ApproxNDCG(Single):
    """One minus nDCG at the student's soft ranks.

        loss = 1 − 1/maxDCG Σ_i (2^{y_i} − 1) / log₂(1 + r_i),  r_i = 1 + Σ_{j≠i} σ((s_j − s_i)/τ)

    Signal: labels, graded; below 0 counts as 0.
    Shapes: scores, targets, mask [lists, passages] → scalar. Memory grows with passages².
    Usable lists: those with two different grades: with one, every ranking has the same nDCG.
    Source: Qin, Liu and Li 2010, A General Approximation Framework for Direct Optimization of Information Retrieval
        Measures (Information Retrieval 13), the approximated NDCG; their α is 1/τ.

    >>> import torch
    >>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
    >>> round(ApproxNDCG()(scores, labels, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.1357
    """

    name = "ApproxNDCG"
    signal = "labels"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "temperature")

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        gains = normalised_gains(targets.clamp(min=0), mask)
        discounted = gains * discount(soft_ranks(scores, mask, self.temperature))
        return 1 - present(discounted, mask).sum(-1), preferences(gains, mask).any((-2, -1))


@dataclass(frozen=True)
class LambdaRank(Single):
    """RankNet's pairs, each weighted by the change in nDCG if its two passages swapped ranks.

        loss = mean over pairs with y_i > y_j of |G_i − G_j| · |1/D_i − 1/D_j| · softplus(−(s_i − s_j))

    with G_i = (2^{y_i} − 1)/maxDCG and D_i = log₂(1 + rank of i by the student's scores). Weights carry no gradient.
    Passages with equal student scores are ranked worst first, so that a student that scores all alike still learns;
    those with equal targets too share their average rank.

    Signal: labels, graded, below 0 counts as 0; or, with `signal=teacher_order`, an order, where the passage at the
        teacher's rank π has y = 1/π: the top weighs most at any length.
    Shapes: scores, targets, mask [lists, passages] → scalar. Memory grows with passages².
    Usable lists: those with an untied pair.
    Source: Burges, Ragno and Le 2006, Learning to Rank with Nonsmooth Cost Functions (NIPS), Section 4, in the form of
        Burges 2010, From RankNet to LambdaRank to LambdaMART (MSR-TR-2010-82), Section 4; the sum over pairs is a mean
        here, as in RankNet.

    >>> import torch
    >>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
    >>> round(LambdaRank()(scores, labels, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.0493
    """

    name = "LambdaRank"
    signal: str = "labels"

    def __post_init__(self) -> None:
        check_signal(self)

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return weighted_pairs(scores, relevance(self.signal, targets, mask), mask, mu=0.0)


@dataclass(frozen=True)
class NDCGLoss2pp(Single):
    """NDCG-Loss2++ of the LambdaLoss framework: LambdaRank's weight plus a tighter bound's, which fades with distance.

        loss = mean over pairs with y_i > y_j of (ρ_ij + μ δ_ij) · |G_i − G_j| · softplus(−(s_i − s_j))
        ρ_ij = |1/D_i − 1/D_j|,  δ_ij = |1/D(|rank_i − rank_j|) − 1/D(|rank_i − rank_j| + 1)|,  D(k) = log₂(1 + k)

    with G, D_i, ranks and ties as in LambdaRank, which μ = 0 gives.

    Signal: labels, graded, below 0 counts as 0; or, with `signal=teacher_order`, an order, as in LambdaRank.
    Shapes: scores, targets, mask [lists, passages] → scalar. Memory grows with passages².
    Usable lists: those with an untied pair.
    Source: Wang et al. 2018, The LambdaLoss Framework for Ranking Metric Optimization (CIKM), NDCG-Loss2++; the natural
        logarithm for its log₂ and the mean over pairs for its sum, as in RankNet.

    >>> import torch
    >>> scores, labels = torch.tensor([[2.0, 0.5, -1.0]]), torch.tensor([[1, 0, 0]])
    >>> round(NDCGLoss2pp()(scores, labels, torch.ones(1, 3, dtype=torch.bool)).item(), 4)
    0.4528
    """

    name = "NDCGLoss2pp"
    signal: str = "labels"
    mu: float = 10.0

    def __post_init__(self) -> None:
        check_signal(self)
        check_number(self, "mu", zero=True)

    def per_list(self, scores: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return weighted_pairs(scores, relevance(self.signal, targets, mask), mask, self.mu)


def check_signal(objective: Single) -> None:
    """UsageError unless the objective reads labels or a teacher's order."""
    if objective.signal not in ("labels", "teacher_order"):
        raise UsageError(f"{objective.name}: signal is {objective.signal!r}; expected labels or teacher_order")


def relevance(signal: str, targets: Tensor, mask: Tensor) -> Tensor:
    """The graded relevance ≥ 0 that gains are made from, [lists, passages]: the label, or 1 / the teacher's rank."""
    return targets.clamp(min=0) if signal == "labels" else 1 / ranks(targets, mask).to(targets.dtype)


def discount(ranks: Tensor) -> Tensor:
    """1 / log₂(1 + rank)."""
    return 1 / torch.log2(1 + ranks)


def normalised_gains(grades: Tensor, mask: Tensor) -> Tensor:
    """(2^grade − 1) / maxDCG, [lists, passages]; all 0 where no grade is above 0."""
    gains = present(torch.exp2(grades) - 1, mask)
    positions = torch.arange(1, gains.shape[-1] + 1, device=gains.device, dtype=gains.dtype)
    ideal = (gains.sort(-1, descending=True).values * discount(positions)).sum(-1, keepdim=True)
    return gains / torch.where(ideal > 0, ideal, torch.ones_like(ideal))


def current_ranks(scores: Tensor, grades: Tensor, mask: Tensor) -> Tensor:
    """The student's ranks, [lists, passages]: equal scores worst grade first, equal in both at their average rank.

    Position in the list must not decide: it is the first stage's rank.
    """
    level = scores.unsqueeze(-2) == scores.unsqueeze(-1)
    before = (scores.unsqueeze(-2) > scores.unsqueeze(-1)) | (level & (grades.unsqueeze(-2) < grades.unsqueeze(-1)))
    alike = level & (grades.unsqueeze(-2) == grades.unsqueeze(-1))
    both = passage_pairs(mask)
    return 1 + (before & both).sum(-1) + (alike & both).sum(-1) / 2


def weighted_pairs(scores: Tensor, grades: Tensor, mask: Tensor, mu: float) -> tuple[Tensor, Tensor]:
    """Mean of (ρ + μ δ)·|ΔG|·softplus(−Δs) over the untied pairs, and whether there is one; both [lists]."""
    preferred = preferences(grades, mask)
    ranks = current_ranks(scores.detach(), grades, mask).to(scores.dtype)
    # Two passages that form a pair are at least one rank apart; the clamp is for the rest, whose D(0) is 0.
    distance = differences(ranks).abs().clamp(min=1)
    weights = differences(discount(ranks)).abs() + mu * (discount(distance) - discount(distance + 1))
    weights = weights * differences(normalised_gains(grades, mask)).abs()
    return masked_mean(weights * softplus(-differences(scores)), preferred), preferred.any((-2, -1))
