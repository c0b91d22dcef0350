"""Packed rows: the sequences of a micro-batch one behind another, without padding in any matrix product."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core.devices import to_device
from limbeck.tokens.store import ranges


@dataclass(frozen=True)
class Sequences:
    """Where the sequences of a packed row are.

    Attributes:
        lengths: [n] tokens of each.
        device: where attention is computed.
    """

    lengths: NDArray[np.int64]
    device: torch.device

    def prepared(self, flash: bool) -> "Sequences":
        """Itself, with all that attention will ask for at hand: compiled layers would break where it is made."""
        names = ("longest", "bounds", "first", "positions")
        for name in names if flash else (*names, "owners", "counts", "places", "mask"):
            getattr(self, name)
        return self

    @property
    def count(self) -> int:
        """How many there are. Not asked of `lengths`, for what is compiled must not meet an array of numpy's."""
        return self.bounds.shape[0] - 1

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return int(self.lengths.max())

    @cached_property
    def bounds(self) -> torch.Tensor:
        """Where each begins, and where the last ends: int32 [n + 1], as flash attention wants it."""
        return self._moved(np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int32))

    @cached_property
    def first(self) -> torch.Tensor:
        """Place of each sequence's first token, int64 [n]."""
        return self.bounds[:-1].long()

    @cached_property
    def last(self) -> torch.Tensor:
        """Place of each sequence's last token, int64 [n]."""
        return self.bounds[1:].long() - 1

    @cached_property
    def owners(self) -> torch.Tensor:
        """Which sequence each token belongs to, int64 [tokens]."""
        return self._moved(np.repeat(np.arange(self.count), self.lengths))

    @cached_property
    def counts(self) -> torch.Tensor:
        """Tokens of each sequence, int64 [n, 1]."""
        return self._moved(self.lengths[:, None])

    @cached_property
    def positions(self) -> torch.Tensor:
        """Position of each token in its sequence, from 0, int64 [tokens]."""
        return self._moved(ranges(np.zeros_like(self.lengths), self.lengths))

    @cached_property
    def places(self) -> torch.Tensor:
        """Place of each token were the sequences padded to the longest, int64 [tokens]."""
        return self.owners * self.longest + self.positions

    @cached_property
    def mask(self) -> torch.Tensor | None:
        """Which places of the padded sequences hold a token, bool [n, 1, 1, longest]; None without padding."""
        if (self.lengths == self.longest).all():
            return None
        return self._moved(np.arange(self.longest) < self.lengths[:, None])[:, None, None]

    def padded(self, packed: torch.Tensor) -> torch.Tensor:
        """[n, heads, longest, width] from [1, heads, tokens, width]; zeros where there is no token."""
        rows = packed.squeeze(0).transpose(0, 1)
        if self.mask is not None:
            wide = rows.new_zeros(self.count * self.longest, *rows.shape[1:])
            rows = wide.index_copy(0, self.places, rows)
        return rows.view(self.count, self.longest, *rows.shape[1:]).transpose(1, 2)

    def packed(self, padded: torch.Tensor) -> torch.Tensor:
        """[1, tokens, heads, width] from [n, heads, longest, width]."""
        rows = padded.transpose(1, 2).flatten(0, 1)
        return (rows if self.mask is None else rows.index_select(0, self.places))[None]

    def _moved(self, array: NDArray[Any]) -> torch.Tensor:
        return to_device(array, self.device)
