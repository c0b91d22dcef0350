"""Pairs of queries and passages, stored or of a collection: their lengths, their cuts, and batches of them."""

from collections.abc import Callable, ItemsView, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.json_files import key_of
from limbeck.core.text import plural
from limbeck.tokens.store import TokenStore, cache_folder, ranges
from limbeck.tokens.template import PairTemplate

if TYPE_CHECKING:
    from limbeck.models.cross_encoder import CrossEncoder

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Cuts:
    """What did not fit: pairs that lost tokens, and the distinct queries and passages that were cut in them."""

    pairs: int
    queries: int
    passages: int

    def __str__(self) -> str:
        return f"{self.pairs:,} ({plural(self.queries, 'query')}, {plural(self.passages, 'passage')})"


@dataclass(frozen=True)
class Pairs:
    """Assembles pairs from a query store and a passage store, without Python for each pair.

    The query is cut to `query_tokens`, the passage to `passage_tokens` (None: not by itself), and then the passage
    alone until the pair fits `max_length`.
    """

    queries: TokenStore
    passages: TokenStore
    template: PairTemplate
    max_length: int
    query_tokens: int
    passage_tokens: int | None = None

    def lengths(self, query_rows: Rows, passage_rows: Rows) -> NDArray[np.int64]:
        """Tokens of each pair, special tokens included, after cutting, [pairs]."""
        query, passage = self._cut(query_rows, passage_rows)
        return np.asarray(query + passage + self.template.special_tokens, np.int64)

    def cuts(self, query_rows: Rows, passage_rows: Rows, windows: bool = False) -> Cuts:
        """How many of the pairs lose tokens of the query or the passage, and how many of these there are.

        With `windows` (see `score_windows`) no passage loses any.
        """
        query, passage = self._cut(query_rows, passage_rows)
        queries = query < self.queries.lengths(query_rows)
        passages = (passage < self.passages.lengths(passage_rows)) & (not windows)
        distinct = (len(np.unique(rows[cut])) for rows, cut in ((query_rows, queries), (passage_rows, passages)))
        return Cuts(int((queries | passages).sum()), *distinct)

    def batch(self, query_rows: Rows, passage_rows: Rows) -> dict[str, torch.Tensor]:
        """A padded batch, [pairs, tokens] each: input_ids, and token_type_ids and attention_mask where needed.

        Without padding there is no attention mask: attention without one is faster and gives the same result.
        """
        ids, types, lengths = self._assembled(query_rows, passage_rows)
        width = int(lengths.max())
        holds = np.arange(width) < lengths[:, None]
        padded_ids = np.full(holds.shape, self.template.pad_id, np.int64)
        padded_types = np.zeros(holds.shape, np.int64)
        padded_ids[holds], padded_types[holds] = ids, types
        batch = self._tensors(padded_ids, padded_types)
        if (lengths < width).any():
            batch["attention_mask"] = torch.from_numpy(holds.astype(np.int64))
        return batch

    def packed(self, query_rows: Rows, passage_rows: Rows) -> tuple[dict[str, torch.Tensor], NDArray[np.int64]]:
        """The pairs one behind another, [1, tokens] each: input_ids, and token_type_ids where needed; and lengths."""
        ids, types, lengths = self._assembled(query_rows, passage_rows)
        return self._tensors(ids[None], types[None]), lengths

    def _assembled(self, query_rows: Rows, passage_rows: Rows) -> tuple[Rows, Rows, Rows]:
        """Token ids and types of all pairs, one behind another [tokens], and the length of each [pairs]."""
        query, passage = self._cut(query_rows, passage_rows)
        fixed = [
            np.asarray(part, np.int64) for part in (self.template.prefix, self.template.middle, self.template.suffix)
        ]
        sizes = np.empty((len(query_rows), 5), np.int64)
        sizes[:, 0], sizes[:, 2], sizes[:, 4] = (len(part) for part in fixed)
        sizes[:, 1], sizes[:, 3] = query, passage
        starts = np.concatenate([[0], np.cumsum(sizes)])[:-1].reshape(sizes.shape)
        ids = np.empty(int(sizes.sum()), np.int64)
        for column, part in zip((0, 2, 4), fixed, strict=True):
            ids[starts[:, column, None] + np.arange(len(part))] = part
        for column, store, rows in ((1, self.queries, query_rows), (3, self.passages, passage_rows)):
            ids[ranges(starts[:, column], sizes[:, column])] = store.gather(rows, sizes[:, column])
        types = np.repeat(
            np.tile(np.asarray(self.template.token_types or (0,) * 5, np.int64), len(sizes)), sizes.ravel()
        )
        return ids, types, sizes.sum(1)

    def _tensors(self, ids: Rows, types: Rows) -> dict[str, torch.Tensor]:
        tensors = {"input_ids": torch.from_numpy(ids)}
        if self.template.token_types is not None:
            tensors["token_type_ids"] = torch.from_numpy(types)
        return tensors

    def _cut(self, query_rows: Rows, passage_rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
        query = np.minimum(self.queries.lengths(query_rows), self.query_tokens)
        room = np.maximum(self.max_length - self.template.special_tokens - query, 0)
        if self.passage_tokens is not None:
            room = np.minimum(room, self.passage_tokens)
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
    if pairs.passage_tokens is not None:
        size = min(size, pairs.passage_tokens)
    step = max(1, size // 2)
    lengths = pairs.passages.lengths(passage_rows)
    counts = 1 + np.maximum(0, -(-(lengths - size) // step))
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = step * (np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts))
    sizes = np.minimum(size, lengths[owners] - starts)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    ids = np.array([f"{number:012d}".encode() for number in range(len(owners))], np.bytes_)
    tokens = pairs.passages.tokens[ranges(pairs.passages.offsets[passage_rows[owners]] + starts, sizes)]
    return replace(pairs, passages=TokenStore(ids, np.arange(len(owners)), offsets, tokens)), owners


def collection_pairs(encoder: "CrossEncoder", collection: Collection) -> Pairs:
    """Pairs of a collection's queries and documents; their tokens are shared by all processes of this user."""
    folder, name, wording = cache_folder() / "tokens", collection.texts_fingerprint, encoder.wording
    stores = []
    for kind, texts, change in (
        ("queries", collection.queries, wording.query),
        ("documents", collection.documents, wording.passage),
    ):
        # A change of the texts is part of the store's name; most models make none.
        own = "" if change("A") == "A" else f"-{key_of([wording.prompt, wording.lower_case])}"
        told = Reworded(texts, change) if own else texts
        stores.append(TokenStore.cached(folder, f"{kind}-{name}{own}", told, encoder.tokenizer, f"Tokenise {kind}"))
    return encoder.pairs(*stores)


class Reworded(Mapping[str, str]):
    """Texts by id, changed when they are asked for."""

    def __init__(self, texts: Mapping[str, str], change: Callable[[str], str]) -> None:
        self._texts, self._change = texts, change

    def __getitem__(self, text_id: str) -> str:
        return self._change(self._texts[text_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def items(self) -> ItemsView[str, str]:
        """In the texts' own order, read once."""
        return _Items(self)

    def __len__(self) -> int:
        return len(self._texts)


class _Items(ItemsView[str, str]):
    def __iter__(self) -> Iterator[tuple[str, str]]:
        texts: Reworded = self._mapping  # type: ignore[attr-defined]
        return ((text_id, texts._change(text)) for text_id, text in texts._texts.items())
