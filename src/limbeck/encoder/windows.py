"""Long passages in windows that a cross-encoder can read whole.

Dai and Callan 2019, "Deeper Text Understanding for IR with Contextual Neural Language Modeling", section 3: a
document's score is its best passage's (MaxP) or its first one's (FirstP, which is what cutting the passage gives).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from limbeck.encoder.pairs import Pairs, Rows
from limbeck.encoder.store import TokenStore


def in_windows(pairs: Pairs, query_rows: Rows, passage_rows: Rows) -> tuple[Pairs, NDArray[np.int64]]:
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
