"""TREC run files: six columns `qid Q0 docid rank score tag`, separated by spaces or tabs, plain or gzipped."""

from collections.abc import Iterator
from pathlib import Path

from limbeck.collections.lines import START, Position, finite_number, id_fault, placed_lines
from limbeck.core.errors import DataError
from limbeck.core.files import atomic_write
from limbeck.runs.run import Run, rank

SUFFIXES = (".gz", ".run", ".trec", ".txt", ".tsv")


def read_run(path: str | Path) -> Run:
    """Read a TREC run. Its name is the file's, without `.gz` and then `.run`, `.trec`, `.txt` or `.tsv`.

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
            raise DataError(
                f'{path}:{place.number}: document "{docid}" is ranked a second time for query "{query_id}"; '
                f"keep one of its lines"
            )
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
                f"{path}:{place.number}: {len(columns)} columns; expected six, `qid Q0 docid rank score tag`, "
                f"and no whitespace inside any of them"
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
