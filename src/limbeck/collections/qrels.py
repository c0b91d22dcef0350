"""Judgment files: BEIR's three columns under a header, or TREC's four."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limbeck.collections.lines import id_fault, numbered_lines
from limbeck.core.errors import DataError
from limbeck.core.files import write_text

BEIR_HEADER = ["query-id", "corpus-id", "score"]
EXPECTED = (
    "expected BEIR's tab-separated columns under the header `query-id<TAB>corpus-id<TAB>score`, "
    "or TREC's four columns `qid 0 docid grade` without a header"
)
Split = Callable[[str], list[str]]


@dataclass(frozen=True)
class Judgments:
    """Query id → docid → grade, with the line on which each query and each document is first named."""

    path: Path
    grades: dict[str, dict[str, int]]
    query_lines: dict[str, int]
    document_lines: dict[str, int]


def read_qrels(path: Path) -> Judgments:
    """Read one judgment file, plain or gzipped, in either format: its first line tells which.

    Grades are whole numbers; negative ones are kept. A judgment that stands there twice with one grade counts once.
    Blank lines are skipped.

    Raises DataError (`path:line: …`) for a file of neither format, a line that is not of the file's format, a grade
    that is no whole number, two judgments of one document that disagree, or a file without judgments.
    """
    judgments = Judgments(path, {}, {}, {})
    lines: dict[tuple[str, str], int] = {}
    split: Split | None = None
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        if split is None:
            split = _format(line, place)
            if split is _beir_columns:
                continue
        columns = split(line)
        if len(columns) != (3 if split is _beir_columns else 4):
            raise DataError(f"{place}: {len(columns)} columns, unlike the file's first line; {EXPECTED}")
        query_id, docid, grade = columns[0], columns[-2], _grade(columns[-1], place)
        for name in (query_id, docid):
            if fault := id_fault(name):
                raise DataError(f"{place}: {fault}")
        of_query = judgments.grades.setdefault(query_id, {})
        if of_query.get(docid, grade) != grade:
            raise DataError(
                f'{place}: query "{query_id}" and document "{docid}" are judged {grade} here and {of_query[docid]} '
                f"on line {lines[query_id, docid]}; keep one of the two"
            )
        of_query[docid] = grade
        lines.setdefault((query_id, docid), number)
        judgments.query_lines.setdefault(query_id, number)
        judgments.document_lines.setdefault(docid, number)
    if not judgments.grades:
        raise DataError(f"{path}:1: no judgments in this file; {EXPECTED}")
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


def _format(line: str, place: str) -> Split:
    if [cell.strip().lower() for cell in line.split("\t")] == BEIR_HEADER:
        return _beir_columns
    columns = line.split()
    if len(columns) == 4 and _is_whole(columns[3]):
        return str.split
    if len(columns) == 4:
        raise DataError(f'{place}: the fourth column is "{columns[3]}", no grade; {EXPECTED}')
    raise DataError(f"{place}: {len(columns)} columns and no such header; {EXPECTED}")


def _beir_columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")]


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,18}", text) is not None


def _grade(text: str, place: str) -> int:
    if not _is_whole(text):
        raise DataError(f'{place}: the grade "{text}" is not a whole number; expected one such as 0, 1 or 2')
    return int(text)
