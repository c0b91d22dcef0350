"""Arithmetic on ragged lists: every tensor is [lists, passages] with a mask that says where a passage exists.

Everything is finite wherever its inputs under the mask are, in rows without passages too: a row that is dropped later
with `torch.where` would otherwise still send NaN into the gradient.
"""

import torch
from torch import Tensor


def present(values: Tensor, mask: Tensor) -> Tensor:
    """`values` with 0 where no passage exists, so that NaN or inf in the padding reach neither value nor gradient."""
    return torch.where(mask, values, torch.zeros_like(values))


def mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values under the mask over all but the first dimension, [lists]; 0 where there are none."""
    over = tuple(range(1, values.dim()))
    return present(values, mask).sum(over) / mask.sum(over).clamp(min=1)


def logsumexp(values: Tensor, mask: Tensor) -> Tensor:
    """log Σ exp over the last dimension under the mask; a row without passages gives a finite number to be dropped."""
    kept = mask | ~mask.any(-1, keepdim=True)
    return torch.where(kept, values, torch.full_like(values, -torch.inf)).logsumexp(-1)


def log_softmax(values: Tensor, mask: Tensor) -> Tensor:
    """Log of the softmax over each list's passages, [lists, passages]; finite but meaningless outside the mask."""
    return values - logsumexp(values, mask).unsqueeze(-1)


def pairs(mask: Tensor) -> Tensor:
    """[lists, passages, passages]: True where passages i and j both exist and differ."""
    same = torch.eye(mask.shape[-1], dtype=torch.bool, device=mask.device)
    return mask.unsqueeze(-1) & mask.unsqueeze(-2) & ~same


def preferences(targets: Tensor, mask: Tensor) -> Tensor:
    """[lists, passages, passages]: True where both passages exist and target i > target j. A tie is no preference."""
    return pairs(mask) & (targets.unsqueeze(-1) > targets.unsqueeze(-2))


def differences(values: Tensor) -> Tensor:
    """[lists, passages, passages]: value i − value j."""
    return values.unsqueeze(-1) - values.unsqueeze(-2)


def ranks(targets: Tensor, mask: Tensor) -> Tensor:
    """Rank 1 for the highest target of each list, [lists, passages]; tied passages share their average rank."""
    higher = (targets.unsqueeze(-2) > targets.unsqueeze(-1)) & pairs(mask)
    level = (targets.unsqueeze(-2) == targets.unsqueeze(-1)) & pairs(mask)
    return 1 + higher.sum(-1) + level.sum(-1) / 2


def soft_ranks(scores: Tensor, mask: Tensor, temperature: float) -> Tensor:
    """r_i = 1 + Σ_{j≠i} σ((s_j − s_i)/τ), [lists, passages]: differentiable, exact as τ → 0."""
    beaten_by = torch.sigmoid(-differences(scores) / temperature)
    return 1 + present(beaten_by, pairs(mask)).sum(-1)


def mean_over_usable(per_list: Tensor, usable: Tensor) -> Tensor:
    """Mean of [lists] over the usable ones; 0 with zero gradient, still attached to the graph, where none is."""
    return present(per_list, usable).sum() / usable.sum().clamp(min=1)
