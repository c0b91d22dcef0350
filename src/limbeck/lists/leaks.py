"""Leaks: queries and relevant documents of a test that training lists hold already, in the same words or nearly."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Collection as Members
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.collections.near_duplicates import ALIKE, KnownTexts
from limbeck.core.errors import UsageError
from limbeck.core.progress import with_progress
from limbeck.lists.lists import SIGNALS, Lists
from limbeck.lists.ragged import Column, arrow, chunk_lengths, flat

Texts = Mapping[str, str]
"""Id → text."""

BLOCK = 4096
"""Texts of the lists that are compared with all of a test at a time."""

_Found = tuple[dict[str, str], int]
"""The texts there are, and how many ids have none."""


@dataclass(frozen=True)
class Leak:
    """A text of the lists, and the text of the test that it is like: by how much, and whether it is the same."""

    id: str
    of: str
    likeness: float
    same: bool


@dataclass(frozen=True)
class LeakExample:
    """A leak with both its texts."""

    id: str
    text: str
    of: str
    of_text: str
    likeness: float
    same: bool


@dataclass(frozen=True)
class LeakCounts:
    """What a search found, in numbers.

    Attributes:
        searched, against: texts of the lists and of the test.
        without_text: ids of either that have no text, and could not be searched for.
        exact, near: texts of the test whose very words the lists hold, and of which they hold a near-duplicate only.
        share: of the test's texts that are either.
        leaking: texts of the lists that are, or are nearly, one of the test.
        alike: the share of 3-grams from which two texts are near-duplicates.
    """

    searched: int
    against: int
    without_text: int
    exact: int
    near: int
    share: float
    leaking: int
    alike: float
    examples: tuple[LeakExample, ...]


@dataclass(frozen=True)
class Overlap:
    """What two sets of texts have in common.

    Attributes:
        searched, against: the texts of the lists and those of the test.
        without_text: how many ids of either have no text, and could not be searched for.
        leaks: the surest first; a text may be in several.
    """

    searched: Texts
    against: Texts
    without_text: int
    leaks: tuple[Leak, ...]

    @cached_property
    def exact(self) -> frozenset[str]:
        """Ids of the test whose very words the lists hold."""
        return frozenset(leak.of for leak in self.leaks if leak.same)

    @cached_property
    def near(self) -> frozenset[str]:
        """Ids of the test of which the lists hold a near-duplicate only."""
        return frozenset(leak.of for leak in self.leaks) - self.exact

    @property
    def leaking(self) -> frozenset[str]:
        """Ids of the lists that are, or are nearly, a text of the test."""
        return frozenset(leak.id for leak in self.leaks)

    def counts(self, examples: int) -> LeakCounts:
        """Counts, with so many exact and so many near leaks as examples."""
        shown = [
            leak for same in (True, False) for leak in [leak for leak in self.leaks if leak.same == same][:examples]
        ]
        return LeakCounts(
            searched=len(self.searched),
            against=len(self.against),
            without_text=self.without_text,
            exact=len(self.exact),
            near=len(self.near),
            share=len(self.exact | self.near) / len(self.against) if self.against else 0.0,
            leaking=len(self.leaking),
            alike=ALIKE,
            examples=tuple(
                LeakExample(
                    id=leak.id,
                    text=self.searched[leak.id],
                    of=leak.of,
                    of_text=self.against[leak.of],
                    likeness=leak.likeness,
                    same=leak.same,
                )
                for leak in shown
            ),
        )


@dataclass(frozen=True)
class CloseTexts:
    """Texts of a test to which a text of the lists is close in meaning, as a bi-encoder sees it.

    Those that are the same or nearly so by their words are not among them. Unlike these, a text that is close may be a
    paraphrase, or only about the same: it is to be read, not left out unseen.

    Attributes:
        cosine: the least that counts as close.
        close: texts of the test, each with its closest of the lists in the examples.
        share: of the test's texts.
    """

    cosine: float
    close: int
    share: float
    examples: tuple[LeakExample, ...]


def close_in_meaning(
    overlaps: Sequence[Overlap], embed: Callable[[Sequence[str]], NDArray[np.float32]], cosine: float, examples: int
) -> list[CloseTexts]:
    """For each overlap of the same searched texts: the test's texts that are close to one of these, by embeddings.

    The closest of the lists' texts is searched for exhaustively, texts × texts × dimension multiplications.

    Args:
        embed: embeddings of length 1, [texts, dimension].
        cosine: the least that counts as close, 0 to 1; UsageError for another.
        examples: how many to keep, the closest first.
    """
    if not 0 <= cosine <= 1:
        raise UsageError(f"a cosine of {cosine:g} as the least that counts as close; expected 0 to 1, as .9")
    ids = list(overlaps[0].searched) if overlaps else []
    texts = embed(list(overlaps[0].searched.values())) if ids else None
    found = []
    for overlap in overlaps:
        by_words = overlap.exact | overlap.near
        left = {name: text for name, text in overlap.against.items() if name not in by_words}
        close: list[LeakExample] = []
        if left and texts is not None:
            likest, places = _closest(embed(list(left.values())), texts)
            rows = sorted(zip(-likest, left, places, strict=True))
            close = [
                LeakExample(
                    id=ids[of],
                    text=overlap.searched[ids[of]],
                    of=name,
                    of_text=left[name],
                    likeness=round(float(-likeness), 3),
                    same=False,
                )
                for likeness, name, of in rows
                if -likeness >= cosine
            ]
        share = len(close) / len(overlap.against) if overlap.against else 0.0
        found.append(CloseTexts(cosine, len(close), share, tuple(close[:examples])))
    return found


def query_leaks(query_ids: Iterable[str], texts: Texts, tests: Sequence[Collection]) -> list[Overlap]:
    """Which of these queries are, or are nearly, queries of the splits of `tests`; one overlap for each."""
    against = [_looked_up(test.query_ids, test.queries) for test in tests]
    return _overlaps(_looked_up(query_ids, texts), against, "queries")


def document_leaks(passage_ids: Iterable[str], texts: Texts, tests: Sequence[Collection]) -> list[Overlap]:
    """Which of these passages are, or are nearly, documents judged relevant in the splits of `tests`."""
    against = [_looked_up(relevant_documents(test), test.documents) for test in tests]
    return _overlaps(_looked_up(passage_ids, texts), against, "passages")


def relevant_documents(collection: Collection) -> list[str]:
    """The documents judged relevant for a query of the split, each once."""
    found = (
        docid
        for query_id in collection.query_ids
        for docid, grade in collection.qrels.get(query_id, {}).items()
        if grade >= collection.relevance_level
    )
    return list(dict.fromkeys(found))


def positives(lists: Lists) -> list[str]:
    """The distinct passages that a label calls relevant; in lists without labels, those that the teacher puts first."""
    if not len(lists):
        return []
    name = next((name for name in SIGNALS if lists.values(name) is not None), None)
    if name is None:
        return []
    values, passages = flat(lists.values(name)).to_numpy(), flat(lists.passage_ids)
    if name == "labels":
        chosen = values > 0
    else:
        lengths = chunk_lengths(lists.passage_ids)
        best = np.maximum.reduceat(values, np.cumsum(lengths) - lengths)
        chosen = values == np.repeat(best, lengths)
    found: list[str] = pc.unique(passages.filter(pa.array(chosen))).to_pylist()
    return found


def distinct_queries(lists: Lists) -> list[str]:
    """The ids of the queries that have lists, each once, in their order."""
    found: list[str] = pc.unique(arrow(lists.query_ids)).to_pylist()
    return found


def without_queries(lists: Lists, query_ids: Members[str]) -> Lists:
    """The lists but for those of some queries; the metadata says how many were left out."""
    kept = pc.invert(pc.is_in(arrow(lists.query_ids), value_set=pa.array(sorted(query_ids), pa.string())))
    columns: dict[str, Any] = {
        name: type(column)(column.array.filter(kept))
        for name in ("query_ids", "passage_ids", *SIGNALS)
        if isinstance(column := getattr(lists, name), Column)
    }
    left_out = len(lists) - len(columns["query_ids"])
    metadata = {**lists.metadata, "left_out_as_leaks": f"lists: {left_out}, queries: {len(query_ids)}"}
    return replace(lists, **columns, metadata=metadata)


def _overlaps(searched: _Found, against: Sequence[_Found], noun: str) -> list[Overlap]:
    """All tests in one pass, as what is searched may be large."""
    texts, lacking = searched
    places = [(test, text_id) for test, (known, _) in enumerate(against) for text_id in known]
    index = KnownTexts([text for known, _ in against for text in known.values()])
    leaks: list[list[Leak]] = [[] for _ in against]
    for text_id, text in with_progress(texts.items(), "Searching for leaks", noun, len(texts)):
        for alike in index.find(text):
            test, of = places[alike.number]
            leaks[test].append(Leak(text_id, of, alike.likeness, alike.same))
    return [
        Overlap(
            texts,
            known,
            lacking + unknown,
            tuple(sorted(found, key=lambda leak: (not leak.same, -leak.likeness, leak.of, leak.id))),
        )
        for (known, unknown), found in zip(against, leaks, strict=True)
    ]


def _closest(rows: NDArray[np.float32], columns: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Of each row [rows, dimension] the highest inner product with a column [columns, dimension], and whose it is."""
    highest, place = np.full(len(rows), -np.inf, np.float32), np.zeros(len(rows), np.intp)
    for start in range(0, len(columns), BLOCK):
        products = rows @ columns[start : start + BLOCK].T
        best = products.argmax(1)
        value = products[np.arange(len(rows)), best]
        place = np.where(value > highest, start + best, place)
        highest = np.maximum(highest, value)
    return highest, place


def _looked_up(ids: Iterable[str], texts: Texts) -> _Found:
    """Id → text of those that have one, and how many have none."""
    found, lacking = dict[str, str](), 0
    for text_id in dict.fromkeys(ids):
        try:
            text = texts[text_id]
        except KeyError:
            text = ""
        if text.strip():
            found[text_id] = text
        else:
            lacking += 1
    return found, lacking
