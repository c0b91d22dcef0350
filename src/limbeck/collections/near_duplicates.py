"""Texts that are alike: the same but for case, punctuation and blanks, or nearly the same by MinHash."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from limbeck.core.errors import from_extra

ALIKE = 0.6
"""Least Jaccard similarity of the character 3-grams of two texts that count as nearly the same."""

_LENGTH = 3
_BANDS, _ROWS = 32, 5
"""Of 100 pairs at a similarity of 0.6, 93 share a band, of those at 0.7 more than 99, of those at 0.1 one in 3,000."""
_SPARED = 0.2
"""An estimate so far below `ALIKE` is five of its standard deviations below: not worth the exact figure."""
_PLACES = np.array([1 << 42, 1 << 21, 1], np.uint64)  # Unicode needs 21 bits
_SPREADING = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio (Knuth, 6.4)
_BETWEEN_WORDS = re.compile(r"[\W_]+")


class Alike(NamedTuple):
    """The number of a known text, by how much another one is like it (Jaccard), and whether the two are the same."""

    number: int
    likeness: float
    same: bool


def normalised(text: str) -> str:
    """A text without what does not tell it from another: case, punctuation, width of characters, blanks.

    >>> normalised("  What's a ＬＩＭＢＥＣＫ? ")
    'what s a limbeck'
    """
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


class KnownTexts:
    """Texts, indexed so that others can be looked for among them.

    Near-duplicates are found by MinHash over character 3-grams of the normalised texts and locality-sensitive hashing
    (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4), as `datasketch` has them; every pair
    so found is then measured exactly, so that none is there by chance. Hashes are seeded: equal texts, equal answers.

    MissingError where `datasketch` is not installed.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._sketch = from_extra("datasketch", "leaks", "the search for near-duplicates")
        self._first = self._sketch.MinHash(_BANDS * _ROWS, hashfunc=int, scheme="affine32", seed=1)
        self._bands = self._sketch.MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
        self._numbers: dict[str, list[int]] = {}
        for number, text in enumerate(texts):
            if plain := normalised(text):
                self._numbers.setdefault(plain, []).append(number)
        self._texts = list(self._numbers)
        self._grams = [_grams(text) for text in self._texts]
        self._hashes = np.empty((len(self._texts), _BANDS * _ROWS), np.uint32)
        for place, grams in enumerate(self._grams):
            hashes = self._hash(grams)
            self._hashes[place] = hashes.hashvalues
            self._bands.insert(place, hashes, check_duplication=False)

    def find(self, text: str) -> Iterator[Alike]:
        """Every known text that is like `text`; none for a text without a letter or digit."""
        plain = normalised(text)
        if not plain or not self._texts:
            return
        grams = _grams(plain)
        hashes = self._hash(grams)
        places = np.array(sorted(self._bands.query(hashes)), int)
        estimates = (self._hashes[places] == hashes.hashvalues).mean(1)
        for place in places[estimates >= ALIKE - _SPARED]:
            likeness = _jaccard(grams, self._grams[place])
            if likeness >= ALIKE:
                # Texts of the same 3-grams in another order are alike by 1, but not the same.
                known = self._texts[place]
                yield from (Alike(number, round(likeness, 3), known == plain) for number in self._numbers[known])

    def _hash(self, grams: np.ndarray) -> Any:
        hashes = self._sketch.MinHash(
            _BANDS * _ROWS, hashfunc=int, scheme="affine32", permutations=self._first.permutations
        )
        hashes.update_batch(grams.tolist())
        return hashes


def _grams(text: str) -> np.ndarray:
    """The distinct character 3-grams of a text between blanks, each as 32 bits of a hash, ascending [grams]."""
    characters = np.frombuffer(f" {text} ".encode("utf-32-le"), np.uint32).astype(np.uint64)
    characters = np.pad(characters, (0, max(0, _LENGTH - len(characters))))
    windows = np.lib.stride_tricks.sliding_window_view(characters, _LENGTH)
    numbers = (windows * _PLACES).sum(1, dtype=np.uint64)
    return np.unique((numbers * _SPREADING >> np.uint64(32)).astype(np.uint32))


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
