"""The exact, bounded backward pass: one mechanism for every objective, because an objective sees only scores.

Gradient caching: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", applied to
the scores of a cross-encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from limbeck.encoder import CrossEncoder, Pairs, autocast, micro_batches
from limbeck.encoder.pairs import Rows


@dataclass(frozen=True)
class Work:
    """What a backward pass did: the loss, the scores [pairs], and the tokens it computed."""

    loss: float
    scores: torch.Tensor
    pairs: int
    tokens: int
    computed_tokens: int
    micro_batches: int
    single_pass: bool


def backward(
    encoder: CrossEncoder,
    pairs: Pairs,
    query_rows: Rows,
    passage_rows: Rows,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    seed: tuple[int, ...],
    precision: str = "fp32",
    token_budget: int = 2048,
    single_pass_tokens: int = 12288,
) -> Work:
    """Add the gradient of `loss_of(scores [pairs])` to the encoder's weights.

    The pairs are cut into micro-batches of nearly equal length. Where all their graphs fit (`single_pass_tokens`), one
    forward is enough. Otherwise all micro-batches are scored without graphs, ∂loss/∂scores is taken, and each
    micro-batch is replayed with its random state and back-propagated: the same gradient, one graph alive at a time.

    Every micro-batch's random state is seeded from `seed` and its number, so a replay draws the same dropout, and a
    resumed run the same numbers as an uninterrupted one.
    """
    lengths = pairs.lengths(query_rows, passage_rows)
    index = micro_batches(lengths, token_budget)
    padded = [int(lengths[part].max()) * len(part) for part in index]
    order = torch.from_numpy(np.concatenate(index))
    device = encoder.device

    def score(number: int) -> torch.Tensor:
        torch.manual_seed(int(np.random.SeedSequence((*seed, number)).generate_state(1, np.uint64)[0]))
        return encoder.logits(pairs, query_rows[index[number]], passage_rows[index[number]])

    def in_order(parts: list[torch.Tensor]) -> torch.Tensor:
        joined = torch.cat(parts)
        return torch.zeros_like(joined).index_put((order.to(device),), joined)

    single = sum(padded) <= single_pass_tokens or len(index) == 1
    if single:
        with autocast(device, precision):
            parts = [score(number) for number in range(len(index))]
        scores = in_order(parts)
        loss = loss_of(scores)
        loss.backward()  # type: ignore[no-untyped-call]
    else:
        with torch.no_grad(), autocast(device, precision):
            parts = [score(number) for number in range(len(index))]
        scores = in_order(parts).requires_grad_()
        loss = loss_of(scores)
        (slope,) = torch.autograd.grad(loss, scores)
        with autocast(device, precision):  # one for all: it keeps the weights' copies in half precision
            for number, part in enumerate(index):
                score(number).backward(slope[torch.from_numpy(part).to(device)])  # type: ignore[no-untyped-call]
    return Work(loss.item(), scores.detach(), len(lengths), int(lengths.sum()), sum(padded), len(index), single)
