"""The token store: a text set tokenised once, memory-mapped, and found by id without a dictionary in memory."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from limbeck.encoder.aside import sync, written_aside
from limbeck.errors import MissingError

CHUNK = 10_000  # texts handed to the tokeniser at once; it spreads them over its own threads


@dataclass(frozen=True)
class TokenStore:
    """Tokens of n texts without special tokens.

    Attributes:
        ids: [n] text ids as UTF-8 bytes, ascending.
        offsets: [n + 1] where each text's tokens begin in `tokens`.
        tokens: [sum of lengths] token ids, uint16 where the vocabulary allows it, else uint32.
    """

    ids: NDArray[np.bytes_]
    offsets: NDArray[np.int64]
    tokens: NDArray[Any]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> NDArray[Any]:
        """Tokens of one row, [length]; a view, not a copy."""
        return self.tokens[self.offsets[row] : self.offsets[row + 1]]

    def rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Rows of text ids, [len(ids)].

        Raises:
            MissingError: an id that the store has no text for.
        """
        wanted = np.array([text_id.encode() for text_id in ids], dtype=np.bytes_)
        if not len(self.ids):
            rows = np.zeros(len(wanted), dtype=np.int64)
            known = np.zeros(len(wanted), dtype=bool)
        else:
            rows = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
            known = self.ids[rows] == wanted
        if not known.all():
            absent = ids[int(np.flatnonzero(~known)[0])]
            raise MissingError(f'no text for "{absent}" ({int((~known).sum())} such ids): is it the right collection?')
        return rows

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of each row, [len(rows)]."""
        return self.offsets[rows + 1] - self.offsets[rows]

    @classmethod
    def of(cls, texts: Mapping[str, str], tokenizer: Any, description: str | None = None) -> "TokenStore":
        """Tokenise texts into memory; with a `description`, progress is shown on a terminal's stderr."""
        ids = sorted(texts, key=str.encode)
        # Not the vocabulary's size: its ids may have gaps.
        dtype = np.uint16 if max(tokenizer.get_vocab().values(), default=0) < 1 << 16 else np.uint32
        parts, lengths = [np.zeros(0, dtype)], []
        starts = range(0, len(ids), CHUNK)
        console = Console(stderr=True)
        silent = description is None or len(starts) == 1 or not console.is_terminal
        for start in track(starts, description or "", console=console, transient=True, disable=silent):
            chunk = [texts[text_id] for text_id in ids[start : start + CHUNK]]
            for tokens in tokenizer(chunk, add_special_tokens=False, verbose=False)["input_ids"]:
                parts.append(np.asarray(tokens, dtype))
                lengths.append(len(tokens))
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(np.array([text_id.encode() for text_id in ids], np.bytes_), offsets, np.concatenate(parts))

    @classmethod
    def cached(
        cls, folder: Path, fingerprint: str, texts: Mapping[str, str], tokenizer: Any, description: str
    ) -> "TokenStore":
        """The store of these texts under `folder`, made there first if it is not there yet.

        It is written aside and renamed when complete, so a half-written store is never used and several processes may
        ask for the same one at once.

        Args:
            fingerprint: stands for the texts; the tokeniser adds its own.
        """
        place = folder / f"{fingerprint}-{tokenizer_fingerprint(tokenizer)}"
        if not place.is_dir():
            cls.of(texts, tokenizer, description)._write(place)
        return cls(*(np.load(place / f"{name}.npy", mmap_mode="r") for name in ("ids", "offsets", "tokens")))

    def _write(self, place: Path) -> None:
        with written_aside(place) as aside:
            for name in ("ids", "offsets", "tokens"):
                np.save(aside / f"{name}.npy", getattr(self, name))
            sync(aside)
            try:
                os.replace(aside, place)
            except OSError:
                # Another process was faster; its store holds the same.
                if not place.is_dir():
                    raise


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """16 hex digits that stand for everything of a tokeniser that can change a text's tokens."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # Truncation and padding are state of the last call; neither is used to fill the store.
    backend.pop("truncation", None)
    backend.pop("padding", None)
    return hashlib.sha256(json.dumps(backend, sort_keys=True).encode()).hexdigest()[:16]


def cache_folder() -> Path:
    """Where limbeck keeps what it can make again: $LIMBECK_CACHE, else the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LIMBECK_CACHE") or Path(base) / "limbeck")
