"""The exact, bounded backward pass: one mechanism for every objective, because an objective sees only scores.

Gradient caching: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", applied to
the scores of a cross-encoder.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from limbeck.encoder import CrossEncoder, Pairs, autocast, moved
from limbeck.encoder.pairs import Rows


@dataclass(frozen=True)
class Work:
    """What a backward pass did.

    Attributes:
        loss: of all the step's lists, a scalar on the encoder's device.
        scores: [pairs].
        computed_tokens: padding included.
        micro_batches: of each process; the other numbers are all processes' together.
        single_pass: whether one forward was enough.
    """

    loss: torch.Tensor
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

    The pairs are cut into micro-batches of nearly equal length and scored, and ∂loss/∂scores is taken. Where the graphs
    of all of them fit (`single_pass_tokens`), they were kept and are back-propagated. Otherwise each micro-batch is
    replayed with its random state and back-propagated: the same gradient, one graph alive at a time.

    Every micro-batch's random state is seeded from `seed` and its number, so a replay draws the same dropout, and a
    resumed run the same numbers as an uninterrupted one.

    Of several processes each scores and replays its share of the pairs; scores and gradients are added up once a step,
    so that every process sees the loss of all lists and ends with the gradient that one process alone would have. With
    dropout, which elements are dropped depends on how many processes there are.
    """
    lengths, device, processes = pairs.lengths(query_rows, passage_rows), encoder.device, encoder.processes
    rounds = encoder.rounds(lengths, token_budget)
    places = [moved(index, device) for index, _ in rounds]
    computed = processes.gather(sum(int(lengths[index].max()) * len(index) for index, _ in rounds))
    single = len(rounds) == 1 or max(computed) <= single_pass_tokens

    def score(number: int) -> torch.Tensor:
        state = np.random.SeedSequence((*seed, number * processes.count + processes.rank))
        torch.manual_seed(int(state.generate_state(1, np.uint64)[0]))
        index, _ = rounds[number]
        return encoder.logits(pairs, query_rows[index], passage_rows[index])

    with torch.set_grad_enabled(single), autocast(device, precision):
        parts = [score(number) for number in range(len(rounds))]
    scores = parts[0].new_zeros(len(lengths))
    for (_, idle), place, part in zip(rounds, places, parts, strict=True):
        if not idle:
            scores[place] = part.detach()
    processes.add_up([scores])
    scores.requires_grad_()
    loss = loss_of(scores)
    (slope,) = torch.autograd.grad(loss, scores)
    if encoder.sharded:
        slope *= processes.count  # for its backward pass takes the mean over the processes
    slopes = [slope[place] * (not idle) for (_, idle), place in zip(rounds, places, strict=True)]
    if single:
        torch.autograd.backward(parts, slopes)
    else:
        with autocast(device, precision):  # one for all: it keeps the weights' copies in half precision
            for number, part_slope in enumerate(slopes):
                score(number).backward(part_slope)  # type: ignore[no-untyped-call]
    if not encoder.sharded:
        processes.add_up(weight.grad for weight in encoder.model.parameters() if weight.grad is not None)
    return Work(loss.detach(), scores.detach(), len(lengths), int(lengths.sum()), sum(computed), len(rounds), single)
