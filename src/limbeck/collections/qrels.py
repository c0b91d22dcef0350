"""Judgment files: TREC's four columns or three, with a header as BEIR and other tools write it, or without."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limbeck.collections.text_files import id_fault, numbered_lines
from limbeck.core.errors import DataError, plural
from limbeck.core.files import write_text

BEIR_HEADER = ("query-id", "corpus-id", "score")
HEADERS = {
    "query": ("query-id", "query_id", "queryid", "query", "qid", "q_id", "topic", "topic_id", "topic-id", "topicid"),
    "document": (
        "corpus-id", "corpus_id", "doc-id", "doc_id", "docid", "docno", "doc_no", "doc", "document", "did", "pid",
        "passage_id", "passage-id",
    ),
    "grade": ("score", "relevance", "rel", "label", "grade", "judgment", "judgement", "rating"),
}  # fmt: skip
"""What a header may call each column; further columns, such as TREC's unused second one, may have any name."""
EXPECTED = (
    "expected `qid docid grade` or TREC's `qid 0 docid grade` on each line, separated by spaces or tabs, with or "
    "without a header such as `query-id<TAB>corpus-id<TAB>score`"
)
MAX_GRADE = 100_000
"""trec_eval keeps one counter for each grade from 0 to the highest, so that a grade is memory: 8 bytes each."""


@dataclass(frozen=True)
class Judgments:
    """Query id → docid → grade, with the line on which each query and each document is first named."""

    path: Path
    grades: dict[str, dict[str, int]]
    query_lines: dict[str, int]
    document_lines: dict[str, int]


@dataclass(frozen=True)
class _Columns:
    """How a line is cut, into how many columns, and which of them are query, document and grade."""

    split: Callable[[str], list[str]]
    count: int
    query: int
    document: int
    grade: int


def read_qrels(path: Path) -> Judgments:
    """Read one judgment file, plain or gzipped; its first line tells its columns. Without any line, it is empty.

    Grades are whole numbers, also written as `1.0`; negative ones are kept. A judgment that stands there twice with one
    grade counts once. Blank lines are skipped.

    Raises DataError (`path:line: …`) for a first line that names or has no such columns, a line unlike it, an id with
    whitespace or control characters, a grade that is no whole number up to `MAX_GRADE`, and two judgments of one
    document that disagree.
    """
    judgments = Judgments(path, {}, {}, {})
    lines: dict[tuple[str, str], int] = {}
    columns: _Columns | None = None
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        if columns is None:
            columns = _header(line, place)
            if columns:
                continue
            columns = _plain(line, place)
        cells = columns.split(line)
        if len(cells) != columns.count:
            raise DataError(f"{place}: {plural(len(cells), 'column')}, unlike the file's first line; {EXPECTED}")
        query_id, docid, grade = cells[columns.query], cells[columns.document], _grade(cells[columns.grade], place)
        of_query = judgments.grades.setdefault(query_id, {})
        if not of_query or docid not in judgments.document_lines:
            for name in (query_id, docid):
                if fault := id_fault(name):
                    raise DataError(f"{place}: {fault}")
        if of_query.get(docid, grade) != grade:
            raise DataError(
                f'{place}: query "{query_id}" and document "{docid}" are judged {grade} here and {of_query[docid]} '
                f"on line {lines[query_id, docid]}; keep one of the two"
            )
        of_query[docid] = grade
        lines.setdefault((query_id, docid), number)
        judgments.query_lines.setdefault(query_id, number)
        judgments.document_lines.setdefault(docid, number)
    return judgments


def write_qrels(grades: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Write judgments, query id → docid → grade, in BEIR's three columns, gzipped if the name ends in `.gz`.

    The file appears complete or not at all. MissingError where it cannot be written.
    """
    rows = ["\t".join(BEIR_HEADER)]
    rows += [
        f"{query_id}\t{docid}\t{grade}" for query_id, of_query in grades.items() for docid, grade in of_query.items()
    ]
    write_text(path, "\n".join(rows) + "\n")


def grade_fault(grade: int) -> str | None:
    """What makes a number no grade, or None."""
    if abs(grade) <= MAX_GRADE:
        return None
    return (
        f"the grade {grade} is beyond ±{MAX_GRADE:,}; expected a degree of relevance such as 0, 1 or 2. Is it another "
        f"column, or a count of clicks? Map it to a few grades"
    )


def _header(line: str, place: str) -> _Columns | None:
    """The columns that a header names, or None where the line is none."""
    split = _tab_cells if "\t" in line else str.split
    names = [cell.lower() for cell in split(line)]
    found = {kind: [at for at, name in enumerate(names) if name in known] for kind, known in HEADERS.items()}
    if not found["query"] or not (found["document"] or found["grade"]):
        return None
    for kind, places in found.items():
        if len(places) != 1:
            how = "no" if not places else f"{plural(len(places), 'column')} for the"
            raise DataError(f"{place}: the header names {how} {kind}; expected one of {', '.join(HEADERS[kind])}")
    return _Columns(split, len(names), *(places[0] for places in found.values()))


def _plain(line: str, place: str) -> _Columns:
    """The columns of a file without a header, by its first line."""
    cells = line.split()
    if len(cells) not in (3, 4):
        raise DataError(f"{place}: {plural(len(cells), 'column')}; {EXPECTED}")
    if not _WHOLE.fullmatch(cells[-1]) and not _is_number(cells[-1]):
        raise DataError(f'{place}: the last column is "{cells[-1]}", no grade; {EXPECTED}')
    return _Columns(str.split, len(cells), query=0, document=len(cells) - 2, grade=len(cells) - 1)


def _tab_cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")]


_WHOLE = re.compile(r"([+-]?[0-9]{1,999})(?:\.0*)?")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9.]+", text) is not None


def _grade(text: str, place: str) -> int:
    whole = _WHOLE.fullmatch(text)
    if not whole:
        raise DataError(f'{place}: the grade "{text}" is not a whole number; expected one such as 0, 1 or 2')
    grade = int(whole[1])
    if fault := grade_fault(grade):
        raise DataError(f"{place}: {fault}")
    return grade
