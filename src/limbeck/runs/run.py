"""A run: one ranking per query, under a name; the tie rule that orders a ranking; and the TREC file that carries it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.collections.text_files import (
    START,
    Position,
    finite_number,
    first_repeated,
    id_fault,
    is_encodable,
    placed_lines,
)
from limbeck.core.errors import DataError, UsageError, plural
from limbeck.core.files import atomic_write

Floats = NDArray[np.float64]
SUFFIXES = (".gz", ".run", ".trec", ".txt", ".tsv")
"""Of run files."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Passages of one query, best first.

    Always in trec_eval's order: score descending, then docid descending by UTF-8 bytes (which is how Python compares
    strings too). Build it with `rank`, which sorts. Equal to another when docids and scores are equal.

    Attributes:
        docids: distinct, non-empty, without whitespace.
        scores: float64 [n], finite, read-only.

    Raises DataError where docids or scores are none of that, or not in order.
    """

    docids: tuple[str, ...]
    scores: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "docids", tuple(self.docids))
        # Adding 0 copies, and turns -0.0 into the 0.0 that it ties with.
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64) + 0.0)
        self.scores.setflags(write=False)
        _check(self.docids, self.scores)

    def __len__(self) -> int:
        return len(self.docids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranking):
            return NotImplemented
        return self.docids == other.docids and np.array_equal(self.scores, other.scores)

    def __hash__(self) -> int:
        return hash(self.docids)

    def cut(self, depth: int) -> "Ranking":
        """The first `depth` passages."""
        return self if len(self) <= depth else Ranking(self.docids[:depth], self.scores[:depth])


def rank(docids: Sequence[str], scores: Any) -> Ranking:
    """Order passages by the tie rule.

    Args:
        docids: [n] distinct ids.
        scores: [n] finite numbers, higher is better: a sequence or an array of any float type.

    >>> rank(["a", "c", "b"], [1.0, 1.0, 2.0]).docids
    ('b', 'c', 'a')
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(docids),):
        raise DataError(f"scores of shape {list(values.shape)} for {len(docids)} documents; expected [{len(docids)}]")
    order = sorted(range(len(docids)), key=lambda i: (values[i], docids[i]), reverse=True)
    return Ranking(tuple(docids[i] for i in order), values[order])


def _check(docids: tuple[str, ...], scores: Floats) -> None:
    if scores.shape != (len(docids),):
        raise DataError(f"scores of shape {list(scores.shape)} for {len(docids)} documents; expected [{len(docids)}]")
    unfit = np.flatnonzero(~np.isfinite(scores))
    if len(unfit):
        raise DataError(
            f'document "{docids[unfit[0]]}" has the score {scores[unfit[0]]}; expected a finite number '
            f"(a score of NaN or infinity has no place in a ranking)"
        )
    if (twice := first_repeated(docids)) is not None:
        raise DataError(f'document "{docids[twice]}" is ranked twice for one query; keep one of the two')
    if id_fault("".join(docids)) or "" in docids or not is_encodable("".join(docids)):
        _refuse_ids(docids)
    later, earlier = scores[1:], scores[:-1]
    if (later > earlier).any() or any(docids[i] < docids[i + 1] for i in np.flatnonzero(later == earlier)):
        raise DataError("the ranking is not ordered by score, then docid, both descending; build it with rank()")


def _refuse_ids(docids: tuple[str, ...]) -> None:
    for docid in docids:
        fault = id_fault(docid) or (None if is_encodable(docid) else f"the id {docid!r} cannot be written as UTF-8")
        if fault:
            raise DataError(f"a document cannot be ranked: {fault}")


@dataclass(frozen=True, eq=False, repr=False)
class Run(Mapping[str, Ranking]):
    """Ranked candidates per query: a mapping from query id to `Ranking`, in the order it was built or read.

    A query without candidates is no part of a run, as in a TREC file, and is left out. Two runs are equal when their
    rankings are; names and tags do not count.

    Attributes:
        name: what people call it: in tables, and in messages.
        rankings: query id → ranking, none of them empty.
        tag: the sixth column of a TREC file; one word.

    Raises DataError for query ids or tags that a TREC file cannot carry.
    """

    name: str
    rankings: dict[str, Ranking] = field(repr=False)
    tag: str = "limbeck"

    def __post_init__(self) -> None:
        kept = {query_id: ranking for query_id, ranking in self.rankings.items() if len(ranking)}
        object.__setattr__(self, "rankings", kept)
        for query_id in kept:
            if fault := id_fault(query_id):
                raise DataError(f"run {self.name}: a query cannot be written to a run: {fault}")
            if not is_encodable(query_id):
                raise DataError(f"run {self.name}: the query id {query_id!r} cannot be written as UTF-8")
        if id_fault(self.tag) or not is_encodable(self.tag):
            raise DataError(f"run {self.name}: the tag {self.tag!r} must be one word without whitespace")

    @classmethod
    def from_scores(cls, name: str, scores: Mapping[str, Mapping[str, float]], tag: str = "limbeck") -> "Run":
        """A run from query id → docid → score, each query ordered by the tie rule."""
        rankings = {}
        for query_id, by_document in scores.items():
            try:
                rankings[query_id] = rank(list(by_document), list(by_document.values()))
            except DataError as error:
                raise DataError(f"run {name}, query {query_id}: {error}") from None
        return cls(name, rankings, tag)

    def __getitem__(self, query_id: str) -> Ranking:
        return self.rankings[query_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rankings)

    def __len__(self) -> int:
        return len(self.rankings)

    def __repr__(self) -> str:
        return f"Run({self.name}: {plural(len(self), 'query')}, {plural(sum(map(len, self.values())), 'candidate')})"

    def cut(self, depth: int) -> "Run":
        """The first `depth` candidates of every query, depth ≥ 1."""
        if depth < 1:
            raise UsageError(f"a run cannot be cut to a depth of {depth}; expected 1 or more")
        return Run(self.name, {query_id: ranking.cut(depth) for query_id, ranking in self.items()}, self.tag)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over query ids, docids and scores. Name, tag and order of queries do not count."""
        digest = hashlib.sha256()
        for query_id in sorted(self.rankings):
            ranking = self.rankings[query_id]
            digest.update(f"{query_id}\n{' '.join(ranking.docids)}\n".encode())
            digest.update(ranking.scores.astype(np.dtype("<f8")).tobytes())
        return digest.hexdigest()[:16]


def read_run(path: str | Path) -> Run:
    """Read a TREC run: six columns `qid Q0 docid rank score tag`, separated by spaces or tabs, plain or gzipped.

    Its name is the file's, without `.gz` and then `.run`, `.trec`, `.txt` or `.tsv`.

    Candidates are ordered by score and the tie rule: the rank column is ignored, as trec_eval ignores it. The lines of
    one query may stand anywhere; the tag is the first line's. Blank lines are skipped.

    Raises MissingError for an absent file, and DataError (`path:line: …`) for a wrong number of columns, a score that
    is no finite number, an id with whitespace, a document twice in one query, or a file without a single ranking.
    """
    path = Path(path)
    scores: dict[str, dict[str, float]] = {}
    tag = ""
    for place, query_id, docid, score, line_tag in candidate_lines(path):
        tag = tag or line_tag
        of_query = scores.setdefault(query_id, {})
        if docid in of_query:
            raise ranked_twice(path, place, query_id, docid)
        of_query[docid] = score
    if not scores:
        raise DataError(f"{path}:1: no rankings in this file; expected lines of `qid Q0 docid rank score tag`")
    rankings = {}
    try:
        for query_id, of_query in scores.items():
            rankings[query_id] = rank(list(of_query), list(of_query.values()))
        return Run(run_name(path), rankings, tag)
    except DataError as error:
        for place, *ids in (line[:3] for line in candidate_lines(path)):
            if fault := next(filter(None, map(id_fault, ids)), None):
                raise DataError(f"{path}:{place.number}: {fault}") from None
        raise DataError(f"{path}: query {query_id}: {error}") from None


def ranked_twice(path: Path, place: Position, query_id: str, docid: str) -> DataError:
    """The error of a line whose document another line of its query has."""
    return DataError(
        f'{path}:{place.number}: document "{docid}" is ranked a second time for query "{query_id}"; keep one of its '
        "lines"
    )


def candidate_lines(path: Path, start: Position = START) -> Iterator[tuple[Position, str, str, float, str]]:
    """(place, query id, docid, score, tag) of each line from `start` on that is not blank.

    Raises MissingError for an absent file, and DataError (`path:line: …`) for a wrong number of columns or a score that
    is no finite number.
    """
    for place, line in placed_lines(path, start):
        columns = line.split()
        if not columns:
            continue
        if len(columns) != 6:
            raise DataError(
                f"{path}:{place.number}: {plural(len(columns), 'column')}; expected six, "
                "`qid Q0 docid rank score tag`, and no whitespace inside any of them"
            )
        query_id, _, docid, _, score, tag = columns
        yield place, query_id, docid, _score(score, path, place.number), tag


def write_run(run: Run, path: str | Path) -> None:
    """Write a TREC run, gzipped if the name ends in `.gz`. Reading it back gives an equal run.

    The file appears complete or not at all. Scores are written in the shortest form that reads back as the same
    float64. Folders on the way are made. Equal runs give equal bytes. MissingError where it cannot be written.
    """
    with atomic_write(Path(path)) as file:
        for line in trec_lines(run):
            file.write(line.encode())


def run_name(path: Path) -> str:
    """The name of a run kept in `path`.

    >>> run_name(Path("runs/tas-b@bm25.run.gz"))
    'tas-b@bm25'
    """
    name = path.name
    for suffix in (".gz", next((s for s in SUFFIXES if name.removesuffix(".gz").endswith(s)), "")):
        name = name.removesuffix(suffix) or name
    return name


def trec_lines(run: Run) -> Iterator[str]:
    """The lines of a TREC file, ranks counted from 1."""
    for query_id, ranking in run.items():
        for position, (docid, score) in enumerate(zip(ranking.docids, ranking.scores.tolist(), strict=True), 1):
            yield f"{query_id} Q0 {docid} {position} {score!r} {run.tag}\n"


def _score(text: str, path: Path, number: int) -> float:
    score = finite_number(text)
    if score is None:
        raise DataError(f'{path}:{number}: the score "{text}" is not a finite number; expected one such as 12.5')
    return score
