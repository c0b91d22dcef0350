import bz2
import gzip
import lzma
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.core.errors import DataError, MissingError
from limbeck.runs import Run, read_run, write_run
from limbeck.runs.run import run_name

ids = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufeff", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6
).filter(lambda text: text.split() == [text])
scores = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, -0.0, 1.0, 0.1]))
runs = st.dictionaries(ids, st.dictionaries(ids, scores, min_size=1, max_size=8), max_size=4, min_size=1)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(runs, ids, st.sampled_from(["r.run", "r.run.gz"]))
def test_writing_and_reading_is_identity(by_query: dict[str, dict[str, float]], tag: str, file: str) -> None:
    run = Run.from_scores("r", by_query, tag)
    with tempfile.TemporaryDirectory() as folder:
        write_run(run, Path(folder) / file)
        back = read_run(Path(folder) / file)
    assert back == run
    assert list(back) == list(run)
    assert (back.name, back.tag, back.fingerprint) == (run.name, run.tag, run.fingerprint)


def test_the_rank_column_is_ignored_and_ties_are_broken(tmp_path: Path) -> None:
    path = tmp_path / "x.run"
    path.write_text("q Q0 a 1 2.5 t\nq Q0 b 2 2.5 t\nq Q0 c 3 7 t\n")
    assert read_run(path)["q"].docids == ("c", "b", "a")


@pytest.mark.parametrize("separator", [" ", "\t", "  \t "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spaces_tabs_and_line_ends_of_windows_are_read(tmp_path: Path, separator: str, end: str) -> None:
    path = tmp_path / "x.run"
    text = end.join(separator.join(["q", "0", docid, "1", score, "t"]) for docid, score in [("a", "1e-3"), ("b", "-2")])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_run(path)["q"].docids == ("a", "b")


def test_lines_of_one_query_may_stand_apart(tmp_path: Path) -> None:
    path = tmp_path / "x.run"
    path.write_text("q Q0 a 1 2 t\np Q0 a 1 2 t\n\nq Q0 b 2 3 t\n")
    assert read_run(path)["q"].docids == ("b", "a")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 b 2 nan t", 'x.run:2: the score "nan" is not a finite number'),
        ("q Q0 b 2 -inf t", 'x.run:2: the score "-inf" is not a finite number'),
        ("q Q0 b 2 1e999 t", 'x.run:2: the score "1e999" is not'),
        ("q Q0 b 2 1_0 t", 'x.run:2: the score "1_0" is not'),
        ("q Q0 b 2 high t", 'x.run:2: the score "high" is not'),
        ("q Q0 b 2 1.5", "x.run:2: 5 columns; expected six"),
        ("q Q0 b c 2 1.5 t", "x.run:2: 7 columns; expected six"),
        ("q Q0 b\u00a0c 2 1.5 t", "x.run:2: 7 columns; expected six"),
        ("q Q0 a 2 1.5 t", 'x.run:2: document "a" is ranked a second time for query "q"'),
        ("q Q0 b 2 １.5 t", 'x.run:2: the score "１.5" is not'),
        ("q Q0 b\x00 2 1.5 t", r"x.run:2: the id 'b\\x00' holds a control character"),
        ("q\x1b[2J Q0 b 2 1.5 t", r"x.run:2: the id 'q\\x1b\[2J' holds a control character"),
        ("q Q0 a\ufeff 2 1.5 t", "x.run:2: .*whitespace"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "x.run"
    path.write_text(f"q Q0 a 1 2 t\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_run(path)


def test_a_file_without_rankings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.run"
    path.write_text("\n\n")
    with pytest.raises(DataError, match=r"x\.run:1: no rankings"):
        read_run(path)


def test_an_absent_run_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        read_run(tmp_path / "x.run")


def test_broken_bytes_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "x.run"
    path.write_bytes(b"q Q0 a 1 2 t\nq Q0 \xff 1 2 t\n")
    with pytest.raises(DataError, match=r"x\.run:2: not UTF-8"):
        read_run(path)


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.run.gz"
    path.write_bytes(gzip.compress("".join(f"q Q0 {i} 1 2 t\n" for i in range(50)).encode())[:-12])
    with pytest.raises(DataError, match=r"x.run.gz:\d+: broken gzip"):
        read_run(path)
    path.write_bytes(b"q Q0 a 1 2 t\n")
    with pytest.raises(DataError, match=r"x.run.gz:1: broken gzip"):
        read_run(path)


def test_gzip_under_another_name_is_told_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.run"
    path.write_bytes(gzip.compress(b"q Q0 a 1 2 t\n"))
    with pytest.raises(DataError, match=r"x.run:1: is gzip data .*1f 8b.*rename it to x.run.gz"):
        read_run(path)
    twice = tmp_path / "twice.run.gz"
    twice.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="inside gzip data; unpack it once"):
        read_run(twice)
    for name, packed in (("bzip2", bz2.compress(b"q")), ("xz", lzma.compress(b"q")), ("Zstandard", b"(\xb5/\xfd$")):
        path.write_bytes(packed)
        with pytest.raises(DataError, match=f"x.run:1: is {name} data; expected text in UTF-8, plain or gzipped"):
            read_run(path)


def test_a_written_file_has_six_columns_and_ranks_from_one(tmp_path: Path) -> None:
    write_run(Run.from_scores("x", {"q": {"a": 1.0, "b": 0.1}}, tag="mine"), tmp_path / "new" / "x.run")
    assert (tmp_path / "new" / "x.run").read_text() == "q Q0 a 1 1.0 mine\nq Q0 b 2 0.1 mine\n"


def test_equal_runs_are_equal_files_whenever_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.from_scores("x", {"q": {"a": 1.0}})
    for name, now in (("a.gz", 1e9), ("b.gz", 2e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        write_run(run, tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.run"
    path.write_text("old")

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("limbeck.runs.run.trec_lines", broken)
    with pytest.raises(KeyboardInterrupt):
        write_run(Run.from_scores("x", {"q": {"a": 1.0}}), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_who_reads_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.run"
    path.write_text("old")
    with path.open() as old:
        write_run(Run.from_scores("x", {"q": {"a": 1.0}}), path)
        assert old.read() == "old"
    assert read_run(path)["q"].docids == ("a",)


def test_a_place_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingError, match=r"x\.run: cannot be written: File exists"):
        write_run(Run.from_scores("x", {"q": {"a": 1.0}}), tmp_path / "file" / "x.run")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("bm25.run", "bm25"),
        ("bm25.run.gz", "bm25"),
        ("a@b@2023-08.06.txt.gz", "a@b@2023-08.06"),
        ("x", "x"),
        ("v1.2", "v1.2"),
        (".run", ".run"),
    ],
)
def test_a_run_is_named_by_its_file(file: str, name: str) -> None:
    assert run_name(Path("runs") / file) == name


def test_real_runs_are_read_whole(shared_data: Path) -> None:
    run = read_run(shared_data / "trec-dl20" / "runs" / "bm25.run.gz")
    assert run.name == "bm25"
    assert len(run) == 54
    assert {len(ranking) for ranking in run.values()} == {100}
