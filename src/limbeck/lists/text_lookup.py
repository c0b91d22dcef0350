"""From a text to its id, for millions of texts in little memory."""

import re
from array import array
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

from limbeck.core.progress import with_progress

_MISREAD = re.compile(r"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of UTF-8, each of its bytes as one of Latin-1."""


class TextIds:
    """Text → id of (id, text) pairs; blanks at the ends and runs of them within do not count.

    Nor does whether UTF-8 was taken for Latin-1: MS MARCO's triples and passages hold such text, which ir_datasets
    repairs in its passages.

    Keeps 64 bits of each text's hash: two of ten million texts share theirs with a probability of three in a million.
    Of equal texts the first counts.
    """

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        hashes, ids = array("Q"), list[str]()
        for text_id, text in with_progress(texts, "Hashing", "texts"):
            hashes.append(_hash(text))
            ids.append(text_id)
        found = np.frombuffer(hashes, dtype=np.uint64) if ids else np.empty(0, np.uint64)
        self._order = np.argsort(found, kind="stable")
        self._hashes = found[self._order]
        self._ids = ids

    def find(self, text: str) -> str | None:
        """The id of a text, or None."""
        wanted = np.uint64(_hash(text))
        place = int(np.searchsorted(self._hashes, wanted))
        if place == len(self._hashes) or self._hashes[place] != wanted:
            return None
        return self._ids[int(self._order[place])]


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(" ".join(_repaired(text).split()).encode(), digest_size=8).digest(), "little")


def _repaired(text: str) -> str:
    # Until nothing changes, so that a text repaired once and one never repaired end alike.
    while (repaired := _MISREAD.sub(_decoded, text)) != text:
        text = repaired
    return text


def _decoded(misread: re.Match[str]) -> str:
    try:
        return misread[0].encode("latin-1").decode()
    except UnicodeDecodeError:
        return misread[0]
