import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.lists import SIGNALS, Lists, read_lists, write_lists

LISTS = Lists(
    ["q1", "ü 2"],
    [["a", "b"], ["c", "日本", "e"]],
    labels=[np.array([1, 0]), np.array([0, 2, 0])],
    teacher_scores=[np.array([0.1, -7]), np.array([1e-30, 3, 2])],
    metadata={"collection": "tiny", "teacher": "x/y", "note": "Größe"},
)
GOOD = {"query_id": ["q1"], "passage_ids": [["a", "b"]], "labels": [[1.0, 0.0]]}


def written(tmp_path, columns, metadata=None):
    path = tmp_path / "lists.parquet"
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def test_what_is_written_is_read_back_exactly(tmp_path):
    path = tmp_path / "lists.parquet"
    write_lists(LISTS, path)
    back = read_lists(path)
    assert back == LISTS
    assert back.metadata == LISTS.metadata
    assert back.signals == {"labels", "teacher_scores"}
    assert os.listdir(tmp_path) == ["lists.parquet"]


ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
rows = st.lists(st.tuples(ids, st.lists(ids, min_size=1, max_size=4, unique=True)), max_size=4)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, st.sets(st.sampled_from(SIGNALS)), st.integers(0, 2**31))
def test_any_lists_survive_the_file(tmp_path, rows, signals, seed):
    random = np.random.default_rng(seed)
    columns = {signal: [random.random(len(passages)) for _, passages in rows] for signal in signals}
    lists = Lists([query for query, _ in rows], [passages for _, passages in rows], **columns)
    write_lists(lists, tmp_path / "lists.parquet")
    assert read_lists(tmp_path / "lists.parquet") == lists


def test_the_columns_are_those_of_the_published_format(tmp_path):
    path = tmp_path / "lists.parquet"
    write_lists(LISTS, path)
    schema = pq.read_schema(path)
    assert schema.names == ["query_id", "passage_ids", "labels", "teacher_scores"]
    assert schema.field("query_id").type == pa.string()
    assert schema.field("passage_ids").type == pa.list_(pa.string())
    assert schema.field("labels").type == pa.list_(pa.float32())
    assert schema.metadata[b"collection"] == b"tiny"
    assert schema.metadata[b"fingerprint"].decode() == LISTS.fingerprint


def test_equal_lists_make_equal_files(tmp_path):
    write_lists(LISTS, tmp_path / "1")
    write_lists(read_lists(tmp_path / "1"), tmp_path / "2")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "lists.parquet"
    write_lists(LISTS, path)
    monkeypatch.setattr(pq, "write_table", lambda table, file, **_: (file.write(b"half"), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        write_lists(Lists(["q"], [["a"]]), path)
    assert os.listdir(tmp_path) == ["lists.parquet"]
    assert read_lists(path) == LISTS


def test_a_folder_or_an_absent_folder_as_target_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        write_lists(LISTS, tmp_path)
    with pytest.raises(MissingError, match="create it first"):
        write_lists(LISTS, tmp_path / "no" / "lists.parquet")


def test_a_file_of_another_tool_is_read_with_its_wider_types(tmp_path):
    columns = {
        "query_id": pa.array(["q1", "q2"], pa.large_string()),
        "passage_ids": pa.array([["a", "b"], ["c"]], pa.large_list(pa.large_string())),
        "labels": pa.array([[1, 0], [0]], pa.list_(pa.int64())),
        "teacher_scores": pa.array([[0.5, 1.5], [2.5]], pa.list_(pa.float64())),
        "teacher_order": pa.array([None, None], pa.list_(pa.float32())),
    }
    lists = read_lists(written(tmp_path, columns, {"pandas": "{}", "collection": "c"}))
    assert lists.signals == {"labels", "teacher_scores"}
    assert lists.metadata == {"collection": "c"}
    assert lists[0].teacher_scores.tolist() == [0.5, 1.5]
    assert lists[0].labels.dtype == np.float32


def test_a_file_that_is_read_in_several_pieces_is_read_whole_and_counts_its_rows(tmp_path):
    count = 140_000
    labels = [[0.0, 1.0] if row % 2 else [2.0] for row in range(count)]
    columns = {
        "query_id": [f"q{row}" for row in range(count)],
        "passage_ids": [["a", "b"][: len(values)] for values in labels],
        "labels": pa.array(labels, pa.list_(pa.float32())),
    }
    path = written(tmp_path, columns)
    assert pq.read_table(path)["labels"].num_chunks > 1
    assert [values.tolist() for values in read_lists(path).labels] == labels
    columns["labels"] = pa.array([*labels[:-1], None], pa.list_(pa.float32()))
    with pytest.raises(DataError, match="row 140000, column labels"):
        read_lists(written(tmp_path, columns))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [[1.0, None]]}, ["row 1", "column labels", "absent"]),
        ({"labels": [[1.0]]}, ["row 1", "column labels", "1 value,", "2 passages"]),
        ({"labels": [[1.0, float("nan")]]}, ["row 1", "column labels", "nan"]),
        ({"labels": [["1", "0"]]}, ["column labels", "list<element: string>", "expected list<float>"]),
        ({"labels": [1.0]}, ["column labels", "double", "expected list<float>"]),
        ({"query_id": [1]}, ["column query_id", "int64", "expected string"]),
        ({"query_id": pa.array([None], pa.string())}, ["row 1", "column query_id"]),
        ({"passage_ids": [["a", None]]}, ["row 1", "column passage_ids"]),
        ({"passage_ids": [["a", "a"]]}, ["row 1", '"a" occurs twice']),
        ({"teacher_score": [[1.0, 2.0]]}, ['unknown column "teacher_score"', 'did you mean "teacher_scores"']),
    ],
)
def test_a_malformed_file_is_refused_with_file_place_and_expectation(tmp_path, change, words):
    path = written(tmp_path, {**GOOD, **change})
    with pytest.raises(DataError) as caught:
        read_lists(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_absent_column_is_named(tmp_path):
    with pytest.raises(DataError, match='no column "passage_ids" among query_id'):
        read_lists(written(tmp_path, {"query_id": ["q1"]}))


def test_a_row_with_an_absent_signal_is_counted_from_the_first_row(tmp_path):
    columns = {"query_id": ["a", "b", "c"], "passage_ids": [["x"]] * 3, "labels": [[1.0], [0.0], None]}
    with pytest.raises(DataError, match="row 3, column labels"):
        read_lists(written(tmp_path, columns))


def test_lists_changed_after_they_were_written_are_noticed(tmp_path):
    with pytest.raises(DataError, match="fingerprint is 0123"):
        read_lists(written(tmp_path, GOOD, {"fingerprint": "0123"}))


def test_an_absent_file_and_a_file_that_is_no_parquet_are_told_apart(tmp_path):
    with pytest.raises(MissingError, match="no such file"):
        read_lists(tmp_path / "lists.parquet")
    path = tmp_path / "lists.txt"
    path.write_text("query_id")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_lists(path)
