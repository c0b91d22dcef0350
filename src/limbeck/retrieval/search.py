"""Exhaustive search: every query against every document, part by part, with the best kept.

Texts that a model encodes are kept on disk in parts: what is there is not encoded again, what was broken off goes on.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.core.files import atomic_write
from limbeck.core.json_files import key_of, read_json
from limbeck.core.progress import with_total_progress
from limbeck.runs import Ranking, Run, rank
from limbeck.tokens.store import cache_folder

FORMAT = 1
PART = 2048  # texts of one part: what is held in memory at once, and what a kill loses


@dataclass(frozen=True)
class Form:
    """How a part is kept: a file name's ending, a function that writes it to a stream, and one that reads a file."""

    ending: str
    save: Callable[[Any, Any], None]
    load: Callable[[Path], Any]


@dataclass(frozen=True)
class Encoded:
    """Texts in the order in which they came, `PART` of them in each of the files `paths`."""

    paths: tuple[Path, ...]
    form: Form

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Any]:
        """The parts, each read when its turn comes. DataError for a file that is damaged."""
        for path in self.paths:
            try:
                part = self.form.load(path)
            except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
                raise DataError(
                    f"{path}: cannot be read ({error}); remove the folder it is in, its texts are then encoded again"
                ) from None
            yield part


def encoded_collection(
    name: str,
    collection: Collection,
    identity: Mapping[str, Any],
    encode: Callable[[str, list[str]], Any],
    form: Form,
    progress: bool,
    shard: tuple[int, int] | None = None,
) -> tuple[Encoded, Encoded]:
    """A collection's `query_ids` and its documents, encoded as far as they are not in limbeck's cache.

    Args:
        name: of the first stage.
        identity: all that decides what is made of a text, as JSON holds it.
        encode: makes one part of up to `PART` texts, each a "query" or a "document" as its first argument says.
        shard: (number from 0, count): only this share of the documents' parts is made, which another call of another
            process then finds; what is returned must not be read.

    Raises:
        DataError: the model gives numbers that are none.
        MissingError: a part cannot be written, as on a full disk.
    """
    queries = {query_id: collection.queries[query_id] for query_id in collection.query_ids}
    digest = key_of(list(queries.values()), 16)
    of_queries = {**identity, "queries": digest}
    of_documents = {**identity, "documents": collection.documents_fingerprint}
    return (
        _encoded(queries, of_queries, partial(encode, "query"), form, f"{name}: queries", progress),
        _encoded(
            collection.documents, of_documents, partial(encode, "document"), form, f"{name}: documents", progress, shard
        ),
    )


def _encoded(
    texts: Mapping[str, str],
    identity: Mapping[str, Any],
    encode: Callable[[list[str]], Any],
    form: Form,
    what: str,
    progress: bool,
    shard: tuple[int, int] | None = None,
) -> Encoded:
    described = {"format": FORMAT, "part": PART, "ending": form.ending, **identity}
    key = key_of(described, 16)
    folder = cache_folder() / "encoded" / key
    about = folder / "about.json"  # written last: where it is, so are all the parts
    if not about.exists():
        before = len(list(folder.glob(f"*.{form.ending}")))
        if before and progress:
            Console(stderr=True).print(f"{what}: {before:,} parts of {PART:,} are there already", highlight=False)
        # Read once, in their own order: what is not in memory is slow to look up one by one.
        items = iter(texts.items())
        chunks = iter(lambda: [text for _, text in islice(items, PART)], [])
        parts = with_total_progress(chunks, f"{what} encoded", f"parts of {PART:,}", -(-len(texts) // PART), progress)
        mine, of = shard or (0, 1)
        count = sum(
            _encode(chunk, folder / f"{number:06d}", encode, form)
            for number, chunk in enumerate(parts)
            if number % of == mine
        )
        if shard:
            return Encoded((), form)
        _write(about, _save_json, {"texts": count, "of": what, **described})
    count = read_json(about, {"texts": int}, "remove the folder it is in, its texts are then encoded again")["texts"]
    return Encoded(tuple(folder / f"{number:06d}.{form.ending}" for number in range(-(-count // PART))), form)


def _encode(texts: list[str], path: Path, encode: Callable[[list[str]], Any], form: Form) -> int:
    """Make a part if it is not there; returns how many texts it has."""
    path = path.with_suffix(f".{form.ending}")
    if not path.exists():
        part = encode(texts)
        values = part if isinstance(part, np.ndarray) else part.data
        if not np.isfinite(values).all():
            raise DataError(f"{path}: the model gives NaN or infinity for a text; expected one that ranks with numbers")
        _write(path, form.save, part)
    return len(texts)


def _save_json(stream: IO[bytes], content: Mapping[str, Any]) -> None:
    stream.write(json.dumps(content, indent=1).encode())


def _write(path: Path, save: Callable[[Any, Any], None], content: Any) -> None:
    with atomic_write(path) as stream:
        save(stream, content)


def best(scores: NDArray[Any], depth: int) -> NDArray[np.intp]:
    """Places of the `depth` highest of scores [n], and of all that tie with the last one, in no order.

    So the tie rule of rankings decides among those that tie, and not their place.
    """
    if len(scores) <= depth:
        return np.arange(len(scores))
    last = np.partition(scores, len(scores) - depth)[len(scores) - depth]
    return np.flatnonzero(scores >= last)


def require_depth(first_stage: str, depth: int) -> None:
    """Raise UsageError for a depth that is none."""
    if depth < 1:
        raise UsageError(f"{first_stage}: the depth is {depth}; expected 1 or more")


Floats = NDArray[np.float32]
Positions = NDArray[np.int64]
Hits = Iterator[tuple[int, NDArray[Any], Floats]]


class Parts(Sized, Iterable[Any], Protocol):
    """Texts in parts, read anew in the same order each time."""


class Best:
    """The best documents of each query so far, and all that tie with its last one.

    Attributes:
        positions: for each query, the places of its documents in the collection.
        scores: aligned with them.
        floor: [queries] what a document must score to be among them.
    """

    def __init__(self, queries: int, depth: int) -> None:
        self.depth = depth
        self.positions: list[Positions] = [np.zeros(0, np.int64)] * queries
        self.scores: list[Floats] = [np.zeros(0, np.float32)] * queries
        self.floor = np.full(queries, -np.inf, np.float32)

    def add(self, query: int, positions: Positions, scores: Floats) -> None:
        """Take in further documents of a query."""
        positions = np.concatenate([self.positions[query], positions])
        scores = np.concatenate([self.scores[query], scores])
        kept = best(scores, self.depth)
        self.positions[query], self.scores[query] = positions[kept], scores[kept]
        if len(kept) >= self.depth:
            self.floor[query] = scores[kept].min()


def search(
    name: str,
    collection: Collection,
    queries: Parts,
    documents: Parts,
    part_size: int,
    compare: Callable[[Any, Any, Floats], Hits],
    depth: int,
    progress: bool,
) -> Run:
    """The run of the best `depth` documents for each of the collection's `query_ids`, exactly.

    What is held in memory: one part of each, and what `compare` makes of them. Ties are cut by the run's own rule; a
    query's own document is left out where the collection says so.

    Args:
        queries: parts of the collection's queries.
        documents: parts of its documents, each of `part_size` but the last.
        compare: (part of queries, part of documents, floor) → the rows of queries, each with the columns of documents
            that score at least its floor [queries], and their scores. It may leave out what cannot be among the best.
    """
    # One more, to be left with `depth` when the query's own is dropped.
    kept = depth + collection.drop_query_document
    found: list[tuple[Positions, Floats]] = []
    for query_part in queries:
        best_of = Best(query_part.shape[0], kept)
        parts = with_total_progress(
            documents, f"{name}: retrieving", "parts of the documents", len(documents), progress
        )
        for number, document_part in enumerate(parts):
            for query, columns, scores in compare(query_part, document_part, best_of.floor):
                best_of.add(query, columns + np.int64(number * part_size), scores)
        found += zip(best_of.positions, best_of.scores, strict=True)
    docids = _docids(collection, [positions for positions, _ in found])
    rankings: dict[str, Ranking] = {}
    for query_id, (positions, scores) in zip(collection.query_ids, found, strict=True):
        by_docid = dict(zip([docids[position] for position in positions.tolist()], scores.tolist(), strict=True))
        if collection.drop_query_document:
            by_docid.pop(query_id, None)
        rankings[query_id] = rank(list(by_docid), list(by_docid.values())).cut(depth)
    return Run(name, rankings, tag=name)


def _docids(collection: Collection, found: list[Positions]) -> dict[int, str]:
    """Position → docid of the documents that were found; the ids of all others are only passed by."""
    wanted = set(np.unique(np.concatenate([np.zeros(0, np.int64), *found])).tolist())
    return {position: docid for position, docid in enumerate(collection.documents) if position in wanted}
