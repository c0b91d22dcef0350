from dataclasses import replace

import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.lists import Lists, lists_from_run
from limbeck.runs import Run


def run_of(**rankings: list[str]) -> Run:
    scores = {query: {docid: -float(place) for place, docid in enumerate(docs)} for query, docs in rankings.items()}
    return Run.from_scores("first-stage", scores)


def values(column: list | None) -> list:
    assert column is not None
    return [entry.tolist() for entry in column]


def counts(lists: Lists) -> dict[str, int]:
    return {
        key: int(value) for key, value in lists.metadata.items() if value.isdigit() and value != "0" and key != "depth"
    }


def test_labels_are_the_grades_and_unjudged_or_negative_ones_are_zero(collection):
    run = run_of(q1=["d5", "d2", "d8"], q2=["d3", "d4"])
    lists = lists_from_run(collection, run, labels=True, order=False, add_missing_positives=False)
    assert lists.query_ids == ["q1", "q2"]
    assert lists.passage_ids == [["d5", "d2", "d8"], ["d3", "d4"]]
    assert values(lists.labels) == [[0, 0, 3], [0, 2]]
    assert lists.signals == {"labels"}


def test_order_is_n_for_the_first_passage_and_one_for_the_last(collection):
    lists = lists_from_run(collection, run_of(q1=["d3", "d1", "d2"]), labels=False, order=True)
    assert values(lists.teacher_order) == [[3, 2, 1]]
    assert lists.signals == {"teacher_order"}
    assert lists.metadata["teacher"] == "first-stage"


def test_positives_that_the_run_missed_come_last_best_grade_first(collection):
    lists = lists_from_run(collection, run_of(q1=["d2", "d1"], q2=["d3"], q3=["d5"]), labels=True, order=False)
    assert lists.passage_ids == [["d2", "d1", "d8", "d7"], ["d3", "d4"], ["d5"]]
    assert values(lists.labels) == [[0, 1, 3, 1], [0, 2], [0]]
    assert counts(lists) == {"positives_added": 3, "positives_without_text": 1}


def test_a_positive_below_the_depth_counts_as_missed(collection):
    lists = lists_from_run(collection, run_of(q2=["d1", "d2", "d4"]), depth=2, labels=True, order=False)
    assert lists.passage_ids == [["d1", "d2", "d4"]]
    assert values(lists.labels) == [[0, 0, 2]]


def test_no_positive_is_added_where_it_would_need_a_place_in_the_order(collection):
    lists = lists_from_run(collection, run_of(q1=["d2", "d1"]), labels=True, order=True)
    assert lists.passage_ids == [["d2", "d1"]]
    assert values(lists.labels) == [[0, 1]]
    assert values(lists.teacher_order) == [[2, 1]]


def test_depth_counts_the_runs_passages(collection):
    lists = lists_from_run(collection, run_of(q1=["d9", "d1", "d2"]), depth=2, labels=False, order=True)
    assert lists.passage_ids == [["d1"]]


def test_passages_without_text_are_left_out_and_counted(collection):
    run = run_of(q1=["gone", "d1", "d9", "d2"], q2=["gone"])
    lists = lists_from_run(collection, run, labels=False, order=True)
    assert lists.passage_ids == [["d1", "d2"]]
    assert values(lists.teacher_order) == [[2, 1]]
    assert counts(lists) == {"passages_without_text": 3, "queries_without_passages": 1, "queries_without_ranking": 1}


def test_queries_of_another_split_never_become_lists(collection):
    lists = lists_from_run(collection, run_of(q4=["d1"], q2=["d3"]), labels=False, order=True)
    assert lists.query_ids == ["q2"]
    assert counts(lists) == {"queries_outside_split": 1, "queries_without_ranking": 2}


def test_lists_do_not_depend_on_the_order_of_the_run_file(collection):
    one = lists_from_run(collection, run_of(q1=["d1"], q2=["d3"]), labels=True, order=False)
    other = lists_from_run(collection, run_of(q2=["d3"], q1=["d1"]), labels=True, order=False)
    assert one == other


def test_an_unknown_query_is_refused_with_the_nearest_one(collection):
    with pytest.raises(DataError, match=r'1 of its 2 queries.*"q11"; did you mean "q1"'):
        lists_from_run(collection, run_of(q1=["d1"], q11=["d1"]), labels=False, order=True)


def test_labels_of_a_collection_without_judgments_are_refused(collection):
    with pytest.raises(DataError, match="tiny has no judgments"):
        lists_from_run(replace(collection, qrels={}), run_of(q1=["d1"]), labels=True, order=False)


def test_a_run_that_leaves_no_list_is_refused(collection):
    with pytest.raises(DataError, match="no list in common"):
        lists_from_run(collection, run_of(q4=["d1"]), labels=False, order=True)
    with pytest.raises(UsageError, match="depth is 0"):
        lists_from_run(collection, run_of(q1=["d1"]), depth=0, labels=False, order=True)


def test_the_querys_own_document_is_dropped_before_the_depth_counts():
    arguana = Collection(
        name="a",
        documents={"x": "x", "y": "y", "z": "z"},
        queries={"x": "x"},
        qrels={"x": {"x": 1, "z": 1}},
        query_ids=("x",),
        drop_query_document=True,
    )
    lists = lists_from_run(arguana, run_of(x=["x", "y", "z"]), depth=1, labels=True, order=False)
    assert lists.passage_ids == [["y", "z"]]


def test_unjudged_queries_are_counted_where_labels_are_asked_for(collection):
    without = replace(collection, qrels={"q1": {"d1": 1}})
    lists = lists_from_run(without, run_of(q1=["d1"], q2=["d3"]), labels=True, order=False)
    assert counts(lists) == {"queries_without_judgments": 1, "queries_without_ranking": 1}


def test_a_published_order_gives_lists_of_real_queries(shared_data):
    from limbeck.collections import load_collection
    from limbeck.runs import read_run

    folder = shared_data / "trec-dl20"
    run = read_run(folder / "runs" / "rank-vicuna-7b@bm25@2023-09-12T2106.run.gz")
    lists = lists_from_run(load_collection(str(folder)), run, depth=20, labels=True, order=True)
    assert len(lists) == 54
    assert all(len(passages) == 20 for passages in lists.passage_ids)
    assert lists.passage_ids[lists.query_ids.index("23849")][0] == "8010561"
