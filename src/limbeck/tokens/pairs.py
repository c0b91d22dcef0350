"""Pairs of stored queries and passages: their lengths, their cuts, and padded batches of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.tokens.store import TokenStore
from limbeck.tokens.template import PairTemplate

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Assembles pairs from a query store and a passage store.

    The query is cut to `query_tokens` first, then only the passage is cut until the pair fits `max_length`.
    """

    queries: TokenStore
    passages: TokenStore
    template: PairTemplate
    max_length: int
    query_tokens: int

    def lengths(self, query_rows: Rows, passage_rows: Rows) -> NDArray[np.int64]:
        """Tokens of each pair, special tokens included, after cutting, [pairs]."""
        query, passage = self._cut(query_rows, passage_rows)
        return np.asarray(query + passage + self.template.special_tokens, np.int64)

    def cuts(self, query_rows: Rows, passage_rows: Rows) -> int:
        """How many of the pairs lose tokens of the query or the passage."""
        query, passage = self._cut(query_rows, passage_rows)
        cut = (query < self.queries.lengths(query_rows)) | (passage < self.passages.lengths(passage_rows))
        return int(cut.sum())

    def batch(self, query_rows: Rows, passage_rows: Rows) -> dict[str, torch.Tensor]:
        """A padded batch, [pairs, tokens] each: input_ids, and token_type_ids and attention_mask where needed.

        Without padding there is no attention mask: attention without one is faster and gives the same result.
        """
        rows, lengths = self._assembled(query_rows, passage_rows)
        shape = (len(lengths), int(lengths.max()))
        ids = np.full(shape, self.template.pad_id, np.int64)
        types = np.zeros(shape, np.int64)
        for i, (row_ids, row_types) in enumerate(rows):
            ids[i, : lengths[i]], types[i, : lengths[i]] = row_ids, row_types
        batch = self._tensors(ids, types)
        if (lengths < shape[1]).any():
            batch["attention_mask"] = torch.from_numpy((np.arange(shape[1]) < lengths[:, None]).astype(np.int64))
        return batch

    def packed(self, query_rows: Rows, passage_rows: Rows) -> tuple[dict[str, torch.Tensor], NDArray[np.int64]]:
        """The pairs one behind another, [1, tokens] each: input_ids, and token_type_ids where needed; and lengths."""
        rows, lengths = self._assembled(query_rows, passage_rows)
        ids, types = (np.concatenate(parts)[None] for parts in zip(*rows, strict=True))
        return self._tensors(ids, types), lengths

    def _assembled(self, query_rows: Rows, passage_rows: Rows) -> tuple[list[tuple[Rows, Rows]], NDArray[np.int64]]:
        """Token ids and types of each pair, and their lengths."""
        query_tokens, passage_tokens = self._cut(query_rows, passage_rows)
        rows = []
        for i, (n, m) in enumerate(zip(query_tokens, passage_tokens, strict=True)):
            query, passage = self.queries[query_rows[i]][:n], self.passages[passage_rows[i]][:m]
            rows.append((self.template.assemble(query, passage), self.template.types(n, m)))
        return rows, np.asarray(query_tokens + passage_tokens + self.template.special_tokens, np.int64)

    def _tensors(self, ids: Rows, types: Rows) -> dict[str, torch.Tensor]:
        tensors = {"input_ids": torch.from_numpy(ids)}
        if self.template.token_types is not None:
            tensors["token_type_ids"] = torch.from_numpy(types)
        return tensors

    def _cut(self, query_rows: Rows, passage_rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
        query = np.minimum(self.queries.lengths(query_rows), self.query_tokens)
        room = np.maximum(self.max_length - self.template.special_tokens - query, 0)
        return query, np.minimum(self.passages.lengths(passage_rows), room)


def score_windows(pairs: Pairs, query_rows: Rows, passage_rows: Rows) -> tuple[Pairs, NDArray[np.int64]]:
    """The same pairs with every passage cut into windows that overlap by half.

    A window is as long as fits beside the longest of the queries, so that none loses a token.

    Returns:
        pairs whose passage store holds the windows, one row each, and which of the given pairs each window belongs to,
        ascending, [windows].
    """
    longest = int(np.minimum(pairs.queries.lengths(query_rows), pairs.query_tokens).max(initial=0))
    size = max(1, pairs.max_length - pairs.template.special_tokens - longest)
    step = max(1, size // 2)
    lengths = pairs.passages.lengths(passage_rows)
    counts = 1 + np.maximum(0, -(-(lengths - size) // step))
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = step * (np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts))
    parts = [
        pairs.passages[passage_rows[owner]][start : start + size] for owner, start in zip(owners, starts, strict=True)
    ]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    ids = np.array([f"{number:012d}".encode() for number in range(len(parts))], np.bytes_)
    tokens = np.concatenate([pairs.passages.tokens[:0], *parts])
    return replace(pairs, passages=TokenStore(ids, np.arange(len(parts)), offsets, tokens)), owners
