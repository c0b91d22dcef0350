"""A step's pairs and targets, from the lists that the sampler drew."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.encoder import Pairs, moved
from limbeck.lists import Lists


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
        targets = {signal: moved(target, device) for signal, target in self.targets.items()}
        return replace(self, slots=moved(self.slots, device), targets=targets, mask=moved(self.mask, device))


def assemble(pairs: Pairs, lists: Lists, drawn: list[tuple[int, NDArray[np.int64]]], signals: frozenset[str]) -> Batch:
    """The batch of drawn (index of a list, positions in it), with the signals that the objective reads."""
    width = max(len(positions) for _, positions in drawn)
    mask = np.zeros((len(drawn), width), bool)
    targets = {signal: np.zeros(mask.shape, np.float32) for signal in sorted(signals)}
    query_ids, passage_ids = [], []
    for row, (index, positions) in enumerate(drawn):
        mask[row, : len(positions)] = True
        query_ids += [lists.query_ids[index]] * len(positions)
        passage_ids += [lists.passage_ids[index][position] for position in positions]
        for signal, target in targets.items():
            values = lists.values(signal)
            assert values is not None  # the plan refuses lists that lack a signal
            target[row, : len(positions)] = values[index][positions]
    return Batch(
        pairs.queries.rows(query_ids),
        pairs.passages.rows(passage_ids),
        torch.from_numpy(np.flatnonzero(mask)),
        {signal: torch.from_numpy(target) for signal, target in targets.items()},
        torch.from_numpy(mask),
    )
