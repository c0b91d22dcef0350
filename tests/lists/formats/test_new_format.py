"""A list format is one file: its reader, its writer and its example, which rehearsals train on."""

from pathlib import Path

import pytest

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.lists import Conversion, convert, export, format_names, formats, read_lists, writable_format_names
from limbeck.study.rehearsal.materials import write_published

TOY = '''
"""Lines `query: passage passage …`, the best first."""

from collections import Counter

from limbeck.collections.text_files import placed_lines
from limbeck.lists.formats.format import Format, RawList, by_teacher, dropped, write_lines


def read(path, start):
    for place, line in placed_lines(path, start):
        query_id, _, passages = line.partition(": ")
        passages = passages.split()
        yield RawList(place, query_id, passages, teacher_order=[float(n) for n in range(len(passages), 0, -1)])


def example(queries, collection, signals, path):
    write_lines(path, (f"{of.query_id}: {' '.join(of.passages)}" for of in queries))


def write(lists, path, collection):
    lost = Counter(dropped(lists, "teacher_order"))
    rows = [lists[number] for number in range(len(lists))]
    write_lines(path, (f"{r.query_id}: {' '.join(r.passage_ids[p] for p in by_teacher(r, lost))}" for r in rows))
    return lost


FORMATS = {"toy-lines": Format("lines `query: passage passage`", read, example, write=write)}
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "toy_lines.py").write_text(TOY)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "formats")])


def test_one_file_more_is_read_written_and_rehearsed(toy: None, collection: Collection, tmp_path: Path) -> None:
    assert "toy-lines" in format_names()
    assert "toy-lines" in writable_format_names()
    write_published("toy-lines", collection, frozenset({"teacher_order"}), tmp_path / "rehearsed.txt")
    convert(tmp_path / "rehearsed.txt", tmp_path / "lists.parquet", Conversion("toy-lines"), collection)
    lists = read_lists(tmp_path / "lists.parquet")
    assert lists.query_ids == list(collection.query_ids)
    assert lists.signals == {"teacher_order"}
    assert not export(lists, "toy-lines", tmp_path / "written.txt").lost
    convert(tmp_path / "written.txt", tmp_path / "again.parquet", Conversion("toy-lines"), collection)
    assert read_lists(tmp_path / "again.parquet") == lists


def test_without_it_the_name_is_none(collection: Collection) -> None:
    with pytest.raises(UsageError, match='"toy-lines" is no format of lists'):
        Conversion("toy-lines")
