"""Files of texts where others have ids: from a text to its id, and a collection of a file's own texts."""

import filecmp
import hashlib
import json
import re
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np

from limbeck.collections.lines import START
from limbeck.core.errors import UsageError
from limbeck.core.files import replace_folder, sync, temporary_folder, wrap_write_errors
from limbeck.core.progress import with_progress
from limbeck.lists.formats import find_format

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


FILES = ("corpus.jsonl", "queries.jsonl")


def write_own_texts(source: str | Path, format_name: str, folder: str | Path) -> None:
    """Write the queries and passages of a file into `folder`, in BEIR's layout, each text once, in the file's order.

    Ids are 16 hex digits of SHA-256 over the text: equal files give equal collections. Empty texts are left out. A
    folder that holds these texts already is left as it is.

    Raises:
        UsageError: a format that has ids; a folder that holds something else.
        MissingError, DataError: what reading the file raises, or the folder cannot be written.
    """
    form, folder = find_format(format_name), Path(folder)
    if not form.is_text:
        raise UsageError(f"{source}: {format_name} has ids and no texts; name the collection that they are of")
    passages, queries = set[str](), set[str]()
    with wrap_write_errors(folder), temporary_folder(folder) as aside:
        with (aside / FILES[0]).open("w") as corpus_file, (aside / FILES[1]).open("w") as queries_file:
            for row in with_progress(form.read(Path(source), START), f"Reading {Path(source).name}", "lists"):
                for file, seen, texts in (
                    (queries_file, queries, [row.query_id]),
                    (corpus_file, passages, row.passage_ids),
                ):
                    for text in map(str.strip, texts):
                        text_id = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]
                        if text and text_id not in seen:
                            seen.add(text_id)
                            file.write(f"{json.dumps({'_id': text_id, 'title': '', 'text': text})}\n")
        sync(aside)
        if not folder.exists() or not any(folder.iterdir()):
            replace_folder(aside, folder)
        elif filecmp.cmpfiles(aside, folder, FILES, shallow=False)[0] != list(FILES):
            raise UsageError(f"{folder}: holds something else than the texts of {source}; name a new folder")
