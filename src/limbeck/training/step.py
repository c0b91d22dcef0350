"""One optimiser step: its batch, the exact, bounded backward pass, and what is known of it afterwards.

One mechanism serves every objective, because an objective sees only scores.

Gradient caching: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", applied to
the scores of a cross-encoder.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core.devices import autocast, seed_generators, to_device
from limbeck.lists import Lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.tokens.pairs import Pairs, Rows

FP16_EXPONENTS = (8, 2, -4, -10)
"""Powers of two that the largest gradient of a score is brought to in float16, one by one until nothing overflows."""


@dataclass(frozen=True)
class Batch:
    """The pairs of one step, whatever list they belong to, and the targets of their lists.

    Attributes:
        query_rows, passage_rows: [pairs] rows of the token stores.
        slots: [pairs] where each pair's score goes in the flattened [lists, passages] matrix.
        targets: signal → float32 [lists, passages]; 0 where there is no passage.
        mask: bool [lists, passages], True where a passage exists.
    """

    query_rows: NDArray[np.int64]
    passage_rows: NDArray[np.int64]
    slots: torch.Tensor
    targets: Mapping[str, torch.Tensor]
    mask: torch.Tensor

    def matrix(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores [pairs] as [lists, passages], 0 where there is no passage; differentiable."""
        flat = scores.new_zeros(self.mask.numel()).index_put((self.slots,), scores)
        return flat.view(self.mask.shape)

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on a device."""
        targets = {signal: to_device(target, device) for signal, target in self.targets.items()}
        return replace(self, slots=to_device(self.slots, device), targets=targets, mask=to_device(self.mask, device))


def assemble_batch(
    pairs: Pairs, lists: Lists, drawn: list[tuple[int, NDArray[np.int64]]], signals: frozenset[str]
) -> Batch:
    """The batch of drawn (index of a list, positions in it), with the signals that the objective reads."""
    counts = np.array([len(positions) for _, positions in drawn])
    mask = np.arange(counts.max()) < counts[:, None]
    targets = {signal: np.zeros(mask.shape, np.float32) for signal in sorted(signals)}
    passage_ids: list[str] = []
    for index, positions in drawn:
        ids = lists.passage_ids[index]
        passage_ids += [ids[position] for position in positions.tolist()]
    for name, target in targets.items():
        values = lists.values(name)
        assert values is not None  # the plan refuses lists that lack a signal
        target[mask] = np.concatenate([values[index][positions] for index, positions in drawn])
    return Batch(
        np.repeat(pairs.queries.rows([lists.query_ids[index] for index, _ in drawn]), counts),
        pairs.passages.rows(passage_ids),
        torch.from_numpy(np.flatnonzero(mask)),
        {signal: torch.from_numpy(target) for signal, target in targets.items()},
        torch.from_numpy(mask),
    )


@dataclass(frozen=True)
class StepInput:
    """The pairs of one step as this process's device takes them, in micro-batches; made before the step, once.

    Attributes:
        lengths: [pairs] tokens, of all processes' pairs.
        micro_batches: what `CrossEncoder.forward` takes, one each.
        places: which of the pairs each micro-batch holds.
        idle: whether each micro-batch is computed for nothing (see `CrossEncoder.rounds`).
        computed_tokens: of this process, padding included.
    """

    lengths: NDArray[np.int64]
    micro_batches: Sequence[dict[str, Any]]
    places: Sequence[torch.Tensor]
    idle: Sequence[bool]
    computed_tokens: int


def read_step(
    encoder: CrossEncoder, pairs: Pairs, query_rows: Rows, passage_rows: Rows, token_budget: int = 2048
) -> StepInput:
    """The pairs [pairs] of a step cut into micro-batches of at most so many tokens, and read."""
    lengths = pairs.lengths(query_rows, passage_rows)
    rounds = encoder.rounds(lengths, token_budget)
    # Packed rows hold no padding.
    sizes = (lengths[index].sum() if encoder.packed else lengths[index].max() * len(index) for index, _ in rounds)
    return StepInput(
        lengths,
        [encoder.read(pairs, query_rows[index], passage_rows[index]) for index, _ in rounds],
        [to_device(index, encoder.device) for index, _ in rounds],
        [idle for _, idle in rounds],
        int(sum(sizes)),
    )


@dataclass(frozen=True)
class PreparedStep:
    """What one step trains on, at hand before its turn.

    Attributes:
        batch: on the encoder's device.
        cut_pairs: those of its pairs that are longer than the maximum.
    """

    batch: Batch
    inputs: StepInput
    cut_pairs: int


def prepare_step(
    encoder: CrossEncoder,
    pairs: Pairs,
    lists: Lists,
    drawn: list[tuple[int, NDArray[np.int64]]],
    signals: frozenset[str],
    token_budget: int,
) -> PreparedStep:
    """Assemble the pairs of drawn (index of a list, positions in it), cut them into micro-batches, and read these."""
    batch = assemble_batch(pairs, lists, drawn, signals)
    inputs = read_step(encoder, pairs, batch.query_rows, batch.passage_rows, token_budget)
    cut = pairs.cuts(batch.query_rows, batch.passage_rows).pairs
    return PreparedStep(batch.to(encoder.device), inputs, cut)


@dataclass(frozen=True)
class StepResult:
    """What a backward pass did.

    Attributes:
        loss: of all the step's lists, a scalar on the encoder's device.
        scores: what the loss is of, [pairs] or [pairs, exits + 1].
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
    step: StepInput,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    seed: tuple[int, ...],
    precision: str = "fp32",
    max_tokens_without_grad_cache: int = 12288,
) -> StepResult:
    """Add the gradient of `loss_of(scores)` to the encoder's weights, which have none yet.

    Scores are [pairs], or [pairs, exits + 1] of a model with exits (`CrossEncoder.forward_all`).

    The micro-batches are scored, and ∂loss/∂scores is taken. Where the graphs of all of them fit
    (`max_tokens_without_grad_cache`), they were kept and are back-propagated. Otherwise each micro-batch is replayed
    with its random state and back-propagated: the same gradient, one graph alive at a time.

    Every micro-batch's random state is seeded from `seed` and its number, so a replay draws the same dropout, and a
    resumed run the same numbers as an uninterrupted one.

    In fp16 ∂loss/∂scores is scaled, so that nothing is lost that float16 can hold; where a gradient overflows all the
    same, the micro-batches are replayed on a smaller scale (`FP16_EXPONENTS`). What overflows on the smallest stays so.

    Of several processes each scores and replays its share of the pairs; scores and gradients are added up once a step,
    so that every process sees the loss of all lists and ends with the gradient that one process alone would have. With
    dropout, which elements are dropped depends on how many processes there are.

    Args:
        precision: what `CrossEncoder.precision` named.
    """
    device, processes, count = encoder.device, encoder.processes, len(step.micro_batches)
    computed = processes.gather(step.computed_tokens)
    single = count == 1 or max(computed) <= max_tokens_without_grad_cache

    def score(number: int) -> torch.Tensor:
        state = np.random.SeedSequence((*seed, number * processes.count + processes.rank))
        seed_generators(device, int(state.generate_state(1, np.uint64)[0]))
        return encoder.forward_all(step.micro_batches[number])

    with torch.set_grad_enabled(single), autocast(device, precision):
        parts = [score(number) for number in range(count)]
    scores = parts[0].new_zeros(len(step.lengths), *parts[0].shape[1:])
    for idle, place, part in zip(step.idle, step.places, parts, strict=True):
        if not idle:
            scores[place] = part.detach()
    processes.add_up([scores])
    scores.requires_grad_()
    loss = loss_of(scores)
    (gradient,) = torch.autograd.grad(loss, scores)
    if encoder.sharded:
        gradient *= processes.count  # for its backward pass takes the mean over the processes

    def back_propagate(gradient: torch.Tensor, kept: bool) -> None:
        score_gradients = [gradient[place] * (not idle) for idle, place in zip(step.idle, step.places, strict=True)]
        if kept:
            torch.autograd.backward(parts, score_gradients)
            return
        with autocast(device, precision):  # one for all: it keeps the weights' copies in half precision
            for number, score_gradient in enumerate(score_gradients):
                score(number).backward(score_gradient)  # type: ignore[no-untyped-call]

    if precision == "fp16":
        _back_propagate_scaled(encoder, gradient, back_propagate, single)
    else:
        back_propagate(gradient, single)
    if not encoder.sharded:
        processes.add_up(weight.grad for weight in encoder.model.parameters() if weight.grad is not None)
    return StepResult(
        loss.detach(), scores.detach(), len(step.lengths), int(step.lengths.sum()), sum(computed), count, single
    )


def _back_propagate_scaled(
    encoder: CrossEncoder,
    gradient: torch.Tensor,
    back_propagate: Callable[[torch.Tensor, bool], None],
    kept: bool,
) -> None:
    """Back-propagate on the largest of the scales on which no weight's gradient overflows, and undo the scale.

    A power of two, which changes no digit: of the step's own gradient, so that there is no state to keep.
    """
    for exponent in FP16_EXPONENTS:
        encoder.model.zero_grad(set_to_none=True)
        scale = torch.exp2(exponent - gradient.abs().max().clamp(min=2.0**-100).log2().ceil())
        back_propagate(gradient * scale, kept)
        kept = False  # their graphs are gone
        gradients = [weight.grad for weight in encoder.model.parameters() if weight.grad is not None]
        for each in gradients:
            each /= scale
        if all(encoder.processes.gather(all(bool(each.isfinite().all()) for each in gradients))):
            return


class AsyncScalars:
    """Scalars that are asked of a device now and read later, so that the next step need not wait for this one."""

    def __init__(self, scalars: Sequence[torch.Tensor]) -> None:
        together = torch.stack([scalar.detach().double() for scalar in scalars])
        self._ready = torch.cuda.Event() if together.is_cuda else None  # type: ignore[no-untyped-call]
        self._values = together
        if self._ready:
            self._values = torch.empty(together.shape, dtype=together.dtype, pin_memory=True)
            self._values.copy_(together, non_blocking=True)
            self._ready.record()

    def read(self) -> list[float]:
        """The numbers, once the device has come to them."""
        if self._ready:
            self._ready.synchronize()
        return self._values.tolist()


@dataclass(frozen=True)
class StepMetrics:
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
    work: StepResult
    rate: float
    warm: bool
    readings: AsyncScalars
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


def score_spread(matrix: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over lists of the scores' standard deviation within the list, a scalar; both are [lists, passages].

    NaN where no list can have two passages.
    """
    if mask.shape[1] < 2:
        return matrix.new_tensor(math.nan)
    count = mask.sum(1).clamp(min=1)
    mean = (matrix * mask).sum(1) / count
    variance = (((matrix - mean[:, None]) * mask) ** 2).sum(1) / count
    return variance.sqrt().mean()
