"""Published rows aligned with a collection: by their ids, by their texts, or with a collection of those very texts."""

import filecmp
import hashlib
import json
import re
from array import array
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np

from limbeck.collections.text_files import START
from limbeck.core.errors import UsageError
from limbeck.core.files import replace_folder, sync, temporary_folder, wrap_write_errors
from limbeck.core.progress import with_progress
from limbeck.lists.candidates import NO_ID, Candidates
from limbeck.lists.formats import RawList, find_format
from limbeck.lists.lists import SIGNALS
from limbeck.lists.signals import average_ranks


class FitRows:
    """Row of a published file → row that fits a collection, or None for one of which nothing is left.

    Args:
        candidates: which passages stay, and what is added with `labels`; its `counts` tell what was left out. Its
            collection keeps only queries of its split. None: ids are taken as they are.
        depth: the first so many passages of a list.
        labels: grades of the judgments take the place of the row's labels; unjudged and negative ones are 0.
        is_text: ids are texts, and are looked up in the collection.
    """

    def __init__(self, candidates: Candidates | None, depth: int | None, labels: bool, is_text: bool) -> None:
        self.candidates, self.depth, self.labels = candidates, depth, labels
        self.counts: Counter[str] = candidates.counts if candidates else Counter()
        collection = candidates.collection if candidates else None
        self._split = frozenset(collection.query_ids) if collection else frozenset()
        self._queries = TextIds(collection.queries.items()) if collection and is_text else None
        self._passages = TextIds(collection.documents.items()) if collection and is_text else None

    def __call__(self, row: RawList) -> RawList | None:
        if row.passage_ids and self.candidates is None:
            return row if self.depth is None else _at(row, list(range(len(row.passage_ids)))[: self.depth])
        known = self._with_ids(row) if row.passage_ids else row
        if known is None or self.candidates is None:
            self.counts["queries_without_text" if known is None else "lists_without_passages"] += 1
            return None
        if known.passage_ids and known.query_id not in self._split:
            self.counts["lists_outside_split"] += 1
            return None
        fitted = self._fitted(known, self.candidates) if known.passage_ids else known
        if not fitted.passage_ids:
            self.counts["lists_without_passages"] += 1
            return None
        return fitted

    def _with_ids(self, row: RawList) -> RawList | None:
        """The row with ids in the place of texts; None where its query is not known."""
        if self._queries is None or self._passages is None:
            return row
        query_id = self._queries.find(row.query_id)
        # A text without an id keeps itself as one, which no collection has.
        passages = [self._passages.find(text) or f"{NO_ID}{text}" for text in row.passage_ids]
        return None if query_id is None else row._replace(query_id=query_id, passage_ids=passages)

    def _fitted(self, row: RawList, candidates: Candidates) -> RawList:
        chosen = candidates.chosen(row.query_id, row.passage_ids)
        if self._passages is not None:
            # A text may come twice, or two be one to the collection, which looks past blanks.
            once = sorted({row.passage_ids[place]: place for place in reversed(chosen)}.values())
            self.counts["texts_twice"] += len(chosen) - len(once)
            chosen = once
        row = _at(row, chosen)
        if not self.labels:
            return row
        passages = [*row.passage_ids, *candidates.added(row.query_id, row.passage_ids)]
        return row._replace(passage_ids=passages, labels=candidates.labels(row.query_id, passages))


def _at(row: RawList, places: list[int]) -> RawList:
    """The passages at `places`, ascending; their order counts from 1 again, as if they had been alone."""
    if len(places) == len(row.passage_ids):
        return row
    labels, scores, order = ([v[n] for n in places] if (v := getattr(row, name)) else v for name in SIGNALS)
    if order:
        order = average_ranks(np.array(order)).tolist()
    return RawList(row.place, row.query_id, [row.passage_ids[n] for n in places], labels, scores, order)


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
