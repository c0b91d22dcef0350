from pathlib import Path

import numpy as np
import pytest

from limbeck.collections import load_collection
from limbeck.core.errors import UsageError
from limbeck.lists import Conversion, Lists, convert, export, read_lists
from limbeck.lists.formats import find_format

COLUMNS = {
    "query": ["what boils", "what boils", "what melts", "what boils"],
    "document": ["Water boils.", "Iron melts.", "Iron melts.", "Glass breaks."],
    "score": [7.5, -3, 6.25, -9.0],
}


def test_rows_of_a_query_that_follow_each_other_are_one_list_with_the_teachers_scores(write, read):
    rows = read("scored-pairs", write("train.parquet", **COLUMNS))
    assert [(row.query_id, row.passage_ids, row.teacher_scores) for row in rows] == [
        ("what boils", ["Water boils.", "Iron melts."], [7.5, -3]),
        ("what melts", ["Iron melts."], [6.25]),
        ("what boils", ["Glass breaks."], [-9]),
    ]
    assert rows[0].labels is None
    assert find_format("scored-pairs").is_text


def test_a_score_may_be_called_label_and_other_columns_are_let_be(write, read):
    columns = {"label": COLUMNS["score"], "source": ["msmarco"] * 4, "query": COLUMNS["query"]}
    rows = read("scored-pairs", write("train.parquet", passage=COLUMNS["document"], **columns))
    assert rows[0].teacher_scores == [7.5, -3]


def test_what_is_of_another_shape_is_named(write, refusal):
    assert "columns query; expected query, document or passage, and score or label" in refusal(
        "scored-pairs", write("a.parquet", query=["what boils"])
    )
    for column, value, words in (
        ("query", None, ":3: column query is empty"),
        ("document", None, ":3: column document is empty"),
        ("score", float("nan"), ":3: score is NaN, expected a finite number"),
    ):
        values = [*COLUMNS[column][:2], value, COLUMNS[column][3]]
        assert words in refusal("scored-pairs", write("a.parquet", **{**COLUMNS, column: values}))
    assert ":1: query is 5, expected a text" in refusal(
        "scored-pairs", write("a.parquet", **{**COLUMNS, "query": [5] * 4})
    )


def test_what_is_written_is_read_back_by_the_texts_of_its_collection(tmp_path: Path):
    collection = load_collection("demo/test")
    query_ids, passages = list(collection.query_ids)[:3], list(collection.documents)[:4]
    lists = Lists(query_ids, [passages] * 3, teacher_scores=[np.array([1 / 3, 4, -7e-9, 2], np.float32)] * 3)
    exported = export(lists, "scored-pairs", tmp_path / "pairs.parquet", collection)
    assert exported.lost == {}
    convert(tmp_path / "pairs.parquet", tmp_path / "back.parquet", Conversion("scored-pairs"), collection)
    back = read_lists(tmp_path / "back.parquet")
    assert list(back.query_ids) == query_ids
    assert [list(each) for each in back.passage_ids] == [passages] * 3
    assert back.signals == {"teacher_scores"}
    assert all(np.array_equal(one, other) for one, other in zip(back.teacher_scores, lists.teacher_scores, strict=True))
    with pytest.raises(UsageError, match="hold texts; name the collection"):
        export(lists, "scored-pairs", tmp_path / "x.parquet")
