from pathlib import Path

import pytest

from limbeck.collections.qrels import read_qrels, write_qrels
from limbeck.core.errors import DataError

BEIR = "query-id\tcorpus-id\tscore\n"


def read(folder: Path, text: str) -> dict[str, dict[str, int]]:
    path = folder / "test.tsv"
    path.write_text(text)
    return read_qrels(path).grades


@pytest.mark.parametrize(
    "text",
    [BEIR + "q1\td1\t2\nq1\td2\t-1\n", "q1 0 d1 2\nq1 0 d2 -1\n", "q1\tQ0\td1\t2\r\n\r\nq1\tQ0\td2\t-1\r\n"],
)
def test_either_format_is_told_by_its_first_line(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {"q1": {"d1": 2, "d2": -1}}


def test_a_judgment_repeated_word_for_word_counts_once(tmp_path: Path) -> None:
    assert read(tmp_path, "q 0 d 1\nq 0 d 1\n") == {"q": {"d": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"test\.tsv:1: no judgments in this file"),
        (BEIR, r"test\.tsv:1: no judgments in this file"),
        ("q1\td1\t1\n", r"test\.tsv:1: 3 columns and no such header; expected BEIR's"),
        ("q1 Q0 d1 1 12.5 bm25\n", r"test\.tsv:1: 6 columns and no such header"),
        ("q1 0 d1 high\n", r'test\.tsv:1: the fourth column is "high", no grade'),
        (BEIR + "q1\td1\n", r"test\.tsv:2: 2 columns, unlike the file's first line"),
        ("q 0 d 1\nq\td\t1\n", r"test\.tsv:2: 3 columns, unlike the file's first line"),
        (BEIR + "q1\td1\t1.5\n", r'test\.tsv:2: the grade "1\.5" is not a whole number'),
        (BEIR + "q1\td1\t1_0\n", r'test\.tsv:2: the grade "1_0" is not a whole number'),
        (BEIR + "q1\td 1\t1\n", r"test\.tsv:2: the id 'd 1' holds whitespace"),
        (BEIR + "\td1\t1\n", r"test\.tsv:2: the id is empty"),
        ("q 0 d 1\nq 0 e 1\nq 0 d 2\n", r'test\.tsv:3: query "q" and document "d" are judged 2 here and 1 on line 1'),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["own/qrels/test.tsv", "test.tsv.gz"])
def test_judgments_are_read_as_they_were_written(tmp_path: Path, name: str) -> None:
    grades = {"q1": {"d1": 3, "d2": 0}, "q2": {"d1": 1}}
    write_qrels(grades, tmp_path / name)
    assert read_qrels(tmp_path / name).grades == grades
