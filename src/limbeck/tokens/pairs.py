"""Pairs of queries and passages: how a tokeniser joins two texts, and what pairs of stored ones make of it.

A pair is assembled from tokens that were made once: its length, what is cut, and batches of pairs.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import UsageError, plural
from limbeck.core.json_files import key_of
from limbeck.tokens.store import Reworded, TokenStore, cache_folder, ranges

if TYPE_CHECKING:
    from limbeck.models.cross_encoder import CrossEncoder

Tokens = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class PairTemplate:
    """The special tokens around a query and a passage, and the token types of the parts.

    A pair is `prefix + query + middle + passage + suffix`; `token_types` holds one type for each of these five parts,
    or is None for backbones that take none (RoBERTa, ModernBERT).
    """

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    token_types: tuple[int, int, int, int, int] | None
    pad_id: int

    @property
    def special_tokens(self) -> int:
        """Special tokens of one pair."""
        return len(self.prefix) + len(self.middle) + len(self.suffix)

    @classmethod
    def of(cls, tokenizer: Any) -> "PairTemplate":
        """Read the template off a transformers tokeniser by encoding a probe pair.

        Raises:
            UsageError: the tokeniser does not place the tokens of query and passage, each as encoded alone, in this
                order between fixed special tokens, so that pairs could not be assembled exactly.
        """
        probe, check = ("which probe", "an answer to it"), ("one more, shorter?", "Yes.")
        first, second = (_plain(tokenizer, text) for text in probe)
        encoded = tokenizer(*probe)
        ids = list(encoded["input_ids"])
        start = _find(ids, first, 0)
        split = _find(ids, second, start + len(first)) if start >= 0 else -1
        if split < 0:
            raise UsageError(
                f"{type(tokenizer).__name__}: it gives a text other tokens when the text is part of a pair"
            )
        end = split + len(second)
        prefix, middle, suffix = ids[:start], ids[start + len(first) : split], ids[end:]
        types = None
        if "token_type_ids" in tokenizer.model_input_names:
            given = encoded["token_type_ids"]
            types = (
                given[0],
                given[start],
                given[split - 1] if middle else 0,
                given[split],
                given[-1],
            )
        pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        template = cls(tuple(prefix), tuple(middle), tuple(suffix), types, pad_id)
        query, passage = (np.asarray(_plain(tokenizer, text)) for text in check)
        encoded = tokenizer(*check)
        same = template.assemble(query, passage).tolist() == list(encoded["input_ids"])
        if same and types:
            same = template.types(len(query), len(passage)).tolist() == list(encoded["token_type_ids"])
        if not same:
            raise UsageError(f"{type(tokenizer).__name__}: how it joins a pair depends on the texts")
        return template

    def assemble(self, query: Tokens, passage: Tokens) -> NDArray[np.int64]:
        """Token ids of one pair, [tokens]; `query` and `passage` without special tokens, already cut."""
        return np.concatenate([self.prefix, query, self.middle, passage, self.suffix]).astype(np.int64)

    def types(self, query_tokens: int, passage_tokens: int) -> NDArray[np.int64]:
        """Token types of one pair, [tokens]; zeros where the backbone takes none."""
        lengths = (len(self.prefix), query_tokens, len(self.middle), passage_tokens, len(self.suffix))
        return np.repeat(np.asarray(self.token_types or (0,) * 5, dtype=np.int64), lengths)


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _find(ids: list[int], part: list[int], start: int) -> int:
    positions = range(start, len(ids) - len(part) + 1)
    return next((i for i in positions if ids[i : i + len(part)] == part), -1)


def with_single_separator(tokenizer: Any) -> Any:
    """The tokeniser, joining a pair as `[CLS] query [SEP] passage [SEP]`; itself, if it does so already.

    It is saved as a generic tokeniser: RoBERTa's own class puts its two separators back when it is loaded.
    """
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    if len(PairTemplate.of(tokenizer).middle) <= 1:
        return tokenizer
    first, separator = tokenizer.cls_token, tokenizer.sep_token
    backend = tokenizer.backend_tokenizer
    backend.post_processor = TemplateProcessing(
        single=f"{first} $A {separator}",
        pair=f"{first} $A {separator} $B {separator}",
        special_tokens=[(first, tokenizer.cls_token_id), (separator, tokenizer.sep_token_id)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=tokenizer.model_input_names,
        model_max_length=tokenizer.model_max_length,
        **tokenizer.special_tokens_map,
    )


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
