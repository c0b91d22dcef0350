import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from limbeck.core import progress
from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.lists import Conversion, Lists, convert, format_names, lists_from_run, provided_signals, read_lists
from limbeck.lists import convert as convert_file
from limbeck.runs import read_run

HOFSTAETTER = Conversion("hofstaetter")


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """Seven lines of Hofstätter et al.'s scores."""
    path = tmp_path / "scores.tsv"
    path.write_text("".join(f"{n}.5\t-{n}\tq{n // 2}\tp{n}\tn{n}\n" for n in range(7)))
    return path


@pytest.fixture
def parts_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part is written after every list of two."""

    monkeypatch.setattr(sys.modules[convert_file.__module__], "PASSAGES_PER_PART", 2)


def values(column: object) -> list[list[float]]:
    assert column is not None
    return [entry.tolist() for entry in column]


def left_out(lists: Lists) -> dict[str, str]:
    named = ("format", "source", "collection", "texts_fingerprint", "depth", "labels_from", "checksum")
    return {key: value for key, value in lists.metadata.items() if not key.startswith(named) and value != "0"}


def test_a_published_file_becomes_lists_that_say_where_they_are_from(scores, tmp_path):
    convert(scores, tmp_path / "lists.parquet", HOFSTAETTER)
    lists = read_lists(tmp_path / "lists.parquet")
    assert lists.query_ids == ["q0", "q0", "q1", "q1", "q2", "q2", "q3"]
    assert lists.passage_ids[3] == ["p3", "n3"]
    assert values(lists.labels)[3] == [1, 0]
    assert values(lists.teacher_scores)[3] == [3.5, -3]
    assert lists.metadata == {
        "format": "hofstaetter",
        "source": "scores.tsv",
        "source_bytes": str(os.stat(scores).st_size),
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lists.parquet", "scores.tsv"]


def test_many_parts_are_the_same_lists_as_one(scores, tmp_path, parts_of_two):
    convert(scores, tmp_path / "many.parquet", HOFSTAETTER)
    lists = read_lists(tmp_path / "many.parquet")
    whole = Lists(list(lists.query_ids), list(lists.passage_ids), list(lists.labels), list(lists.teacher_scores))
    assert lists == whole
    assert len(lists) == 7


def test_an_interrupted_conversion_goes_on_where_it_was(scores, tmp_path, parts_of_two, monkeypatch):
    convert(scores, tmp_path / "once.parquet", HOFSTAETTER)
    module = sys.modules[convert_file.__module__]
    real, began_at = module.find_format, []

    def stopping(name):
        form = real(name)

        def read(path, start):
            began_at.append(start.number)
            for row in form.read(path, start):
                if row.place.number == 5 and len(began_at) < 3:
                    raise KeyboardInterrupt
                yield row

        return replace(form, read=read)

    monkeypatch.setattr(module, "find_format", stopping)
    with pytest.raises(KeyboardInterrupt):
        convert(scores, tmp_path / "twice.parquet", HOFSTAETTER)
    assert not (tmp_path / "twice.parquet").exists()
    convert(scores, tmp_path / "twice.parquet", HOFSTAETTER)
    assert began_at == [1, 1, 1, 4]  # each time the first line tells the signals
    assert (tmp_path / "twice.parquet").read_bytes() == (tmp_path / "once.parquet").read_bytes()


def test_parts_of_another_source_or_job_are_not_gone_on_with(scores, tmp_path, parts_of_two):
    good = scores.read_text()
    scores.write_text(good + "1\tx\tq\tp\tn\n")
    output = tmp_path / "lists.parquet"
    for conversion in (HOFSTAETTER, replace(HOFSTAETTER, depth=1)):
        with pytest.raises(DataError, match=r"scores.tsv:8: neg_score"):
            convert(scores, output, conversion)
    scores.write_text(good.replace("p0", "p99"))
    convert(scores, output, HOFSTAETTER)
    assert read_lists(output).passage_ids[0] == ["p99", "n0"]


def test_a_process_that_is_killed_loses_one_part_at_most(tmp_path):
    source, output = tmp_path / "scores.tsv", tmp_path / "lists.parquet"
    source.write_text("".join(f"{n}\t{-n}\tq\tp{n}\tn{n}\n" for n in range(60_000)))
    code = (
        "import sys; import limbeck.lists.convert; module = sys.modules['limbeck.lists.convert'];"
        "module.PASSAGES_PER_PART = 1000;"
        f"module.convert({str(source)!r}, {str(output)!r}, module.Conversion('hofstaetter'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    third = tmp_path / ".lists.parquet.parts" / "000003.parquet"
    while not third.exists() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not output.exists():  # it may have been faster than the signal
        assert json.loads((third.parent / "state.json").read_text())["count"] >= 3
    convert(source, output, HOFSTAETTER)
    assert read_lists(output).query_ids == ["q"] * 60_000
    assert read_lists(output).passage_ids[59_999] == ["p59999", "n59999"]


def test_a_file_with_another_checksum_is_refused_before_it_is_read(scores, tmp_path):
    digest = hashlib.md5(scores.read_bytes()).hexdigest()
    convert(scores, tmp_path / "a.parquet", replace(HOFSTAETTER, checksum=digest.upper()))
    assert read_lists(tmp_path / "a.parquet").metadata["source_checksum"] == digest
    sha256 = hashlib.sha256(scores.read_bytes()).hexdigest()
    convert(scores, tmp_path / "a.parquet", replace(HOFSTAETTER, checksum=sha256))
    with pytest.raises(DataError, match=f"its md5 is {digest}, expected 0000"):
        convert(scores, tmp_path / "b.parquet", replace(HOFSTAETTER, checksum="0" * 32))
    with pytest.raises(UsageError, match="expected an MD5"):
        replace(HOFSTAETTER, checksum="abc")


def test_a_file_under_a_published_name_must_be_the_published_one(scores, tmp_path):
    published = scores.rename(tmp_path / "bert_cat_ensemble_msmarcopassage_train_scores_ids.tsv")
    with pytest.raises(DataError, match=r"expected 4d99696386f96a7f1631076bcc53ac3c.*must have another name"):
        convert(published, tmp_path / "lists.parquet", HOFSTAETTER)
    assert [path.name for path in tmp_path.iterdir()] == [published.name]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1\t2\tq\tp\tp", 'passage "p" occurs twice'),
        ("1\t2\tq\tp 1\tn", "the id 'p 1' is empty, or holds whitespace or a control character"),
        ("1\t2\t\tp\tn", "the id '' is empty"),
        ("1e300\t2\tq\tp\tn", "teacher_scores holds inf"),
    ],
)
def test_a_list_that_cannot_be_is_named_by_its_line(scores, tmp_path, line, words):
    scores.write_text(scores.read_text() + f"{line}\n")
    with pytest.raises(DataError) as caught:
        convert(scores, tmp_path / "lists.parquet", HOFSTAETTER)
    assert str(caught.value).startswith(f"{scores}:8: ")
    assert words in str(caught.value)


def test_a_signal_that_only_some_lists_have_is_named_by_its_line(tmp_path):
    source = tmp_path / "hard.jsonl"
    scored = '{"qid": 1, "pos": [{"pid": 5, "ce-score": 1}], "neg": {}}\n'
    for lines, words in (
        (scored + '{"qid": 2, "pos": [6], "neg": {}}', ":2: .*no teacher_scores, which the first"),
        ('{"qid": 2, "pos": [6], "neg": {}}\n' + scored, ":2: .*has teacher_scores, which the first"),
    ):
        source.write_text(lines)
        with pytest.raises(DataError, match=words):
            convert(source, tmp_path / "lists.parquet", Conversion("sbert-hard-negatives"))


def test_a_query_whose_lines_are_apart_is_refused_across_parts_too(tmp_path, parts_of_two):
    source = tmp_path / "teacher.run"
    source.write_text("q1 Q0 a 1 2 t\nq2 Q0 a 1 2 t\nq3 Q0 a 1 2 t\nq1 Q0 b 2 1 t\n")
    for _ in range(2):  # the second time it goes on from its parts
        with pytest.raises(DataError, match=r'teacher.run:4: query "q1" has a list above already'):
            convert(source, tmp_path / "lists.parquet", Conversion("run"))


def test_judgments_give_the_lists_that_a_run_gives(collection, tmp_path):
    source = tmp_path / "first-stage.run"
    source.write_text("q1 Q0 d2 1 3 t\nq1 Q0 d9 2 2 t\nq1 Q0 d1 3 1 t\nq4 Q0 d1 1 1 t\nq2 Q0 d3 1 1 t\n")
    for depth in (None, 2):
        convert(source, tmp_path / "a.parquet", Conversion("run", depth, frozenset(), labels=True), collection)
        lists = read_lists(tmp_path / "a.parquet")
        assert lists == lists_from_run(collection, read_run(source), depth, labels=True, order=False)
        convert(source, tmp_path / "a.parquet", Conversion("run", depth), collection)
        lists = read_lists(tmp_path / "a.parquet")
        assert lists == lists_from_run(collection, read_run(source), depth, labels=False, order=True)
        assert left_out(lists) == {"lists_outside_split": "1", "passages_without_text": "1"}


def test_positives_are_added_only_where_that_is_asked_for_and_no_teacher_must_place_them(collection, tmp_path):
    source, output = tmp_path / "first-stage.run", tmp_path / "lists.parquet"
    source.write_text("q1 Q0 d2 1 3 t\nq1 Q0 d1 2 1 t\n")
    convert(source, output, Conversion("run", signals=frozenset(), labels=True, add_positives=False), collection)
    assert read_lists(output).passage_ids == [["d2", "d1"]]
    convert(source, output, Conversion("run", labels=True), collection)
    lists = read_lists(output)
    assert (lists.passage_ids, lists.signals) == ([["d2", "d1"]], {"labels", "teacher_order"})
    convert(source, output, Conversion("run", signals=frozenset(), labels=True), collection)
    assert read_lists(output).passage_ids == [["d2", "d1", "d8", "d7"]]
    assert left_out(read_lists(output)) == {"positives_added": "2", "positives_without_text": "1"}


def test_texts_get_the_ids_of_the_collection_and_unknown_ones_are_counted(collection, tmp_path):
    source, output = tmp_path / "triples.tsv", tmp_path / "lists.parquet"
    source.write_text(
        "query 1\ttext 1\ttext  2 \nquery 2\ttext 3\ttext 99\nquery 77\ttext 1\ttext 2\nquery 3\ttext 5\t text 5\n"
    )
    convert(source, output, Conversion("text-triples"), collection)
    lists = read_lists(output)
    assert lists.query_ids == ["q1", "q2", "q3"]
    assert lists.passage_ids == [["d1", "d2"], ["d3"], ["d5"]]
    assert values(lists.labels) == [[1, 0], [1], [1]]
    assert left_out(lists) == {"passages_without_text": "1", "queries_without_text": "1", "texts_twice": "1"}
    with pytest.raises(UsageError, match="holds texts, whose ids a collection has; name the collection"):
        convert(source, output, Conversion("text-triples"))


def test_a_text_twice_in_a_list_counts_once_where_it_stands_first(collection, tmp_path):
    source, output = tmp_path / "train.jsonl", tmp_path / "lists.parquet"
    texts = {"query": "query 1", "pos": ["text 1"], "neg": ["text 2", "text 1"]}
    source.write_text(json.dumps({**texts, "pos_scores": [4.5], "neg_scores": [1, -2]}))
    convert(source, output, Conversion("flagembedding"), collection)
    lists = read_lists(output)
    assert (lists.passage_ids, values(lists.labels)) == ([["d1", "d2"]], [[1, 0]])
    assert values(lists.teacher_scores) == [[4.5, 1]]
    assert left_out(lists) == {"texts_twice": "1"}


def test_scores_of_a_run_are_kept_where_they_are_asked_for(tmp_path):
    source, output = tmp_path / "teacher.run", tmp_path / "lists.parquet"
    source.write_text("q1 Q0 a 1 2.5 t\nq1 Q0 b 2 -1 t\n")
    assert provided_signals(source, Conversion("run")) == {"teacher_order"}
    convert(source, output, Conversion("run", signals=frozenset({"teacher_scores"})))
    assert values(read_lists(output).teacher_scores) == [[2.5, -1]]
    with pytest.raises(UsageError, match="has no labels, which is asked for; it has teacher_order, teacher_scores"):
        convert(source, output, Conversion("run", signals=frozenset({"labels"})))
    with pytest.raises(UsageError, match='"scores" is no signal'):
        Conversion("run", signals=frozenset({"scores"}))


def test_what_cannot_be_converted_is_refused_before_anything_is_written(scores, tmp_path, collection):
    for name in ("hofstatter", "Hofstaetter", ""):
        with pytest.raises(UsageError, match="is no format of lists; expected one of colbertv2"):
            Conversion(name)
    with pytest.raises(UsageError, match='did you mean "hofstaetter"'):
        Conversion("hofstatter")
    with pytest.raises(UsageError, match="depth is 0"):
        Conversion("run", depth=0)
    with pytest.raises(MissingError, match="no such file; expected id triples"):
        convert(tmp_path / "absent", tmp_path / "x.parquet", Conversion("triples"))
    with pytest.raises(MissingError, match=r"its folder .* is not there"):
        convert(scores, tmp_path / "absent" / "x.parquet", HOFSTAETTER)
    with pytest.raises(UsageError, match="name the collection"):
        convert(scores, tmp_path / "x.parquet", replace(HOFSTAETTER, labels=True))
    with pytest.raises(DataError, match="tiny has no judgments"):
        convert(scores, tmp_path / "x.parquet", replace(HOFSTAETTER, labels=True), replace(collection, qrels={}))
    with pytest.raises(UsageError, match="is the file to be read"):
        convert(scores, scores, HOFSTAETTER)
    scores.write_text("\n\n")
    with pytest.raises(DataError, match=r"scores\.tsv:1: no lists in this file"):
        convert(scores, tmp_path / "x.parquet", HOFSTAETTER)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.tsv"]


def test_a_file_of_other_queries_only_says_what_was_left_out(scores, tmp_path, collection):
    scores.write_text("1\t2\tq77\tp\tn\n")
    with pytest.raises(DataError, match=r"no list is left \(1 lists outside split\)"):
        convert(scores, tmp_path / "x.parquet", HOFSTAETTER, collection)


def test_every_published_source_has_a_format():
    assert format_names() == [
        "colbertv2", "flagembedding", "hofstaetter", "rank-distillm", "rank-llm", "run", "sbert-hard-negatives",
        "scored-pairs", "sentence-transformers", "text-triples", "triples",
    ]  # fmt: skip


def test_memory_does_not_grow_with_the_file(tmp_path):
    code = (
        "import resource, sys; import limbeck.lists.convert; module = sys.modules['limbeck.lists.convert'];"
        "module.PASSAGES_PER_PART = 10_000; peaks = []\n"
        "for lines in (20_000, 80_000):\n"
        "    with open('scores.tsv', 'w') as file:\n"
        "        file.writelines(f'{n}\\t{-n}\\tq{n}\\tp{n}\\tn{n}\\n' for n in range(lines))\n"
        "    module.convert('scores.tsv', 'lists.parquet', module.Conversion('hofstaetter'))\n"
        "    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "print(peaks[1] - peaks[0])"
    )
    grown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True).stdout
    # 60,000 lists more would take 30,000 KiB as Python's objects.
    assert int(grown) < 12_000
    assert len(read_lists(tmp_path / "lists.parquet")) == 80_000


def test_progress_is_said_on_a_terminal_and_elsewhere(scores, tmp_path, monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(progress, "QUIET_SECONDS", 0)
    scores.write_text("".join(f"{n}\t-{n}\tq{n}\tp{n}\tn{n}\n" for n in range(300)))
    with (tmp_path / "console").open("w") as file:
        convert(scores, tmp_path / "lists.parquet", HOFSTAETTER, console=Console(file=file, width=200))
        convert(scores, tmp_path / "lists.parquet", HOFSTAETTER, console=Console(file=file, force_terminal=True))
    plain = (tmp_path / "console").read_text().splitlines()[0]
    assert plain.startswith("scores.tsv: 0 lists written, 28%, ")
    assert plain.endswith(" a second")
