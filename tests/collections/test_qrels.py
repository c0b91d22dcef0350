from pathlib import Path

import pytest

from limbeck.collections import load_qrels
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


HEADERS = [
    "query-id\tcorpus-id\tscore", "query_id\tdoc_id\trelevance", "qid docno label", "qid iter docno rel",
    "topic\titeration\tdocid\tgrade", "Query_ID\tPassage_ID\tRelevance",
]  # fmt: skip


@pytest.mark.parametrize("header", ["", *HEADERS])
@pytest.mark.parametrize("grade", ["2", "2.0", "+2", "2."])
def test_every_tool_s_header_and_columns_are_read(tmp_path: Path, header: str, grade: str) -> None:
    four = len(header.split()) == 4
    lines = [f"q{n}\t{'0' + chr(9) if four else ''}d{n}\t{grade}" for n in (1, 2)]
    assert read(tmp_path, "\n".join([*filter(None, [header]), *lines])) == {"q1": {"d1": 2}, "q2": {"d2": 2}}


def test_a_header_tells_the_order_of_the_columns(tmp_path: Path) -> None:
    assert read(tmp_path, "rating\tnote\tpid\tqid\n3\ta word or two\td\tq\n") == {"q": {"d": 3}}


def test_a_file_without_judgments_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "") == read(tmp_path, BEIR) == {}
    with pytest.raises(DataError, match=r"test\.tsv:1: no judgments in this file"):
        load_qrels(tmp_path / "test.tsv")


def test_judgments_alone_are_a_collection(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("q2 0 d 1\nq1 0 d 0\n")
    assert load_qrels(tmp_path / "x").query_ids == ("q2", "q1")


def test_a_judgment_repeated_word_for_word_counts_once(tmp_path: Path) -> None:
    assert read(tmp_path, "q 0 d 1\nq 0 d 1\n") == {"q": {"d": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1\td1\n", r"test\.tsv:1: 2 columns; expected `qid docid grade` or TREC's"),
        ("q1 Q0 d1 1 12.5 bm25\n", r"test\.tsv:1: 6 columns; expected"),
        ("q1 0 d1 high\n", r'test\.tsv:1: the last column is "high", no grade'),
        ("qid docno\n", r"test\.tsv:1: the header names no grade; expected one of score, relevance"),
        ("qid docno pid label\n", r"test\.tsv:1: the header names 2 columns for the document"),
        ("q 0 d 99999999999999999\n", r"test\.tsv:1: the grade 99999999999999999 is beyond ±100,000; .*clicks"),
        ("q 0 d -1000000000.0\n", r"test\.tsv:1: the grade -1000000000 is beyond"),
        ("q 0 d ３\n", r'test\.tsv:1: the last column is "３", no grade'),
        ("q 0 d\x00 1\n", r"test\.tsv:1: the id 'd\\x00' holds a control character"),
        ("q\x1b[31m 0 d 1\n", r"test\.tsv:1: the id 'q\\x1b\[31m' holds a control character"),
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
