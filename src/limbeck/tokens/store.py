"""The token store: a text set tokenised once, memory-mapped, and found by id without a dictionary in memory.

And what a model has done to texts before they are tokenised.
"""

import hashlib
import json
import os
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from rich.console import Console

from limbeck.core.errors import MissingError
from limbeck.core.files import remove_leftovers, replace_folder, sync, temporary_folder, waited_lock, wrap_write_errors
from limbeck.core.json_files import key_of
from limbeck.core.progress import with_progress

CHUNK = 10_000  # texts handed to the tokeniser at once; it spreads them over threads of its own
LONGEST_ID = 32  # bytes; a longer id is found by a digest of that length


@dataclass(frozen=True)
class TokenStore:
    """Tokens of n texts without special tokens, in the order in which the texts came.

    Attributes:
        ids: [n] text ids as UTF-8 bytes, ascending; longer ones than 32 bytes as hex digits that stand for them, so
            that one long id (a URL) does not widen all.
        places: [n] the row of each of `ids`.
        offsets: [n + 1] where each row's tokens begin in `tokens`.
        tokens: [sum of lengths] token ids: uint16 in a kept store whose vocabulary allows it, else uint32.
    """

    ids: NDArray[np.bytes_]
    places: NDArray[np.int64]
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
        wanted = np.array([_key(text_id) for text_id in ids], dtype=np.bytes_)
        if not len(self.ids):
            found = np.zeros(len(wanted), dtype=np.int64)
            known = np.zeros(len(wanted), dtype=bool)
        else:
            found = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
            known = self.ids[found] == wanted
        if not known.all():
            absent = ids[int(np.flatnonzero(~known)[0])]
            raise MissingError(f'no text for "{absent}" ({int((~known).sum())} such ids): is it the right collection?')
        return np.asarray(self.places[found])

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens of each row, [len(rows)]."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def gather(self, rows: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[Any]:
        """The first `counts` tokens of each row, one behind another, [sum of counts]."""
        return self.tokens[ranges(self.offsets[rows], counts)]

    @classmethod
    def of(cls, texts: Mapping[str, str], tokenizer: Any) -> "TokenStore":
        """Tokenise texts into memory. As uint32: asking for the vocabulary takes longer than a few texts do."""
        parts = [np.zeros(0, np.uint32)]
        return cls(*_tokenise(iter(texts.items()), tokenizer, np.uint32, parts.append), np.concatenate(parts))

    @classmethod
    def cached(
        cls, folder: Path, fingerprint: str, texts: Mapping[str, str], tokenizer: Any, description: str
    ) -> "TokenStore":
        """The store of these texts under `folder`, memory-mapped; made there first if it is not there yet.

        Making it reads the texts once, in their own order, and keeps of them only ids and lengths in memory. The
        tokenizers library uses all cores by itself, so one process is as fast as several; but processes that ask for
        the same store at once make it once: the others wait. It is written aside and renamed when complete, so a
        half-written store is never used. One that was broken off is begun anew: 8.8 million passages take minutes.

        Args:
            fingerprint: stands for the texts; the tokeniser adds its own.
            description: of the work, shown while it takes long.

        Raises:
            MissingError: it cannot be written, as on a full disk.
        """
        place = folder / f"{fingerprint}-{tokenizer_fingerprint(tokenizer)}"
        store = cls._opened(place)
        if store is None:
            with (
                wrap_write_errors(place, "or LIMBECK_CACHE set to another place, try again"),
                waited_lock(place.parent / f".{place.name}.lock", lambda holder: _say_waiting(description, holder)),
            ):
                store = cls._opened(place)
                if store is None:
                    store = cls._made(place, texts, tokenizer, description)
        return store

    @classmethod
    def _opened(cls, place: Path) -> "TokenStore | None":
        """The complete store in a folder, or None: it is not there, or not as it was written."""
        try:
            store = cls(*(np.load(place / f"{field.name}.npy", mmap_mode="r") for field in fields(cls)))
        except (OSError, EOFError, ValueError):
            return None
        if not len(store.ids) == len(store.places) == len(store.offsets) - 1:
            return None
        return store if store.offsets[-1] == len(store.tokens) else None

    @classmethod
    def _made(cls, place: Path, texts: Mapping[str, str], tokenizer: Any, description: str) -> "TokenStore":
        remove_leftovers(place)
        if place.exists():
            Console(stderr=True).print(f"{place}: not as it was written; made anew", highlight=False, soft_wrap=True)
        with temporary_folder(place) as aside:
            with (aside / "tokens.npy").open("wb") as stream:
                dtype, count = _dtype(tokenizer), 0

                def append(tokens: NDArray[Any]) -> None:
                    nonlocal count
                    count += len(tokens)
                    stream.write(tokens.data)

                _write_header(stream, dtype, 0)
                items = with_progress(texts.items(), description, "texts", len(texts))
                index = _tokenise(items, tokenizer, dtype, append)
                stream.seek(0)
                _write_header(stream, dtype, count)
            for name, array in zip(("ids", "places", "offsets"), index, strict=True):
                np.save(aside / f"{name}.npy", array)
            sync(aside)
            replace_folder(aside, place)
        store = cls._opened(place)
        assert store is not None
        return store


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """`start, start + 1, …`, as many as are counted, for each of the starts; one behind another, [sum of counts]."""
    shifts = np.asarray(starts) - (np.cumsum(counts) - counts)
    return np.repeat(shifts, counts) + np.arange(int(np.sum(counts)))


def _tokenise(
    items: Iterator[tuple[str, str]], tokenizer: Any, dtype: type[Any], keep: Callable[[NDArray[Any]], None]
) -> tuple[NDArray[np.bytes_], NDArray[np.int64], NDArray[np.int64]]:
    """Hand the tokens of (id, text) to `keep`, chunk by chunk, and return ids, places and offsets of the store."""
    backend = tokenizer.backend_tokenizer
    # State of the tokeniser's last call.
    backend.no_truncation()
    backend.no_padding()
    ids, lengths = [np.zeros(0, np.bytes_)], [np.zeros(0, np.int32)]
    while chunk := list(islice(items, CHUNK)):
        # The library itself: transformers' call around it turns each text's masks and offsets into Python lists.
        encoded = backend.encode_batch_fast([text for _, text in chunk], add_special_tokens=False)
        tokens = [encoding.ids for encoding in encoded]
        ids.append(np.array([_key(text_id) for text_id, _ in chunk], np.bytes_))
        lengths.append(np.fromiter(map(len, tokens), np.int32, len(tokens)))
        keep(np.fromiter(chain.from_iterable(tokens), dtype, int(lengths[-1].sum())))
    unsorted = np.concatenate(ids)
    places = np.argsort(unsorted, kind="stable")
    return unsorted[places], places, np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])


def _key(text_id: str) -> bytes:
    """What an id is found by."""
    raw = text_id.encode()
    return raw if len(raw) <= LONGEST_ID else hashlib.sha256(raw).hexdigest()[:LONGEST_ID].encode()


def _dtype(tokenizer: Any) -> type[np.uint16] | type[np.uint32]:
    # Not the vocabulary's size: its ids may have gaps.
    return np.uint16 if max(tokenizer.get_vocab().values(), default=0) < 1 << 16 else np.uint32


def _write_header(stream: Any, dtype: Any, count: int) -> None:
    """The header of an array of `count` numbers; numpy makes it equally long for every count."""
    npy.write_array_header_1_0(
        stream, {"descr": npy.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (count,)}
    )


def _say_waiting(description: str, holder: str) -> None:
    Console(stderr=True).print(f"{description}: {holder}, is at it; waiting", markup=False, highlight=False)


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """16 hex digits that stand for everything of a tokeniser that can change a text's tokens."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # Truncation and padding are state of the last call; neither is used to fill the store.
    backend.pop("truncation", None)
    backend.pop("padding", None)
    return key_of(backend, 16)


def cache_folder() -> Path:
    """Where limbeck keeps what it can make again: $LIMBECK_CACHE, else the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("LIMBECK_CACHE") or Path(base) / "limbeck")


@dataclass(frozen=True)
class Wording:
    """What is done to a text before it is tokenised.

    Attributes:
        prompt: put before every query, as sentence-transformers does.
        lower_case: whether texts are put in lower case.
    """

    prompt: str = ""
    lower_case: bool = False

    def query(self, text: str) -> str:
        """A query as it is tokenised."""
        return self.passage(self.prompt + text)

    def passage(self, text: str) -> str:
        """A passage as it is tokenised."""
        return text.lower() if self.lower_case else text


UNCHANGED = Wording()


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
