from limbeck.lists.formats import find_format
from limbeck.runs import read_run


def test_each_query_is_a_list_by_score_whatever_the_rank_column_says(write, read):
    lines = ["q1 Q0 d1 1 2.5 t", "q1 0 d2 2 7 t", "q2\tQ0\td9\t1\t1\tt", ""]
    first, second = read("run", write("teacher.run", *lines))
    assert (first.query_id, first.passage_ids) == ("q1", ["d2", "d1"])
    assert (first.teacher_scores, first.teacher_order) == ([7, 2.5], [2, 1])
    assert (second.query_id, second.passage_ids, second.teacher_order) == ("q2", ["d9"], [1])


def test_ties_fall_as_in_every_other_run(write, read):
    path = write("teacher.run.gz", *[f"q Q0 d{n} 1 3 t" for n in (5, 12, 7)])
    (row,) = read("run", path)
    assert row.passage_ids == list(read_run(path)["q"].docids)


def test_only_the_order_is_kept_unless_scores_are_asked_for():
    assert find_format("run").keep == {"teacher_order"}


def test_a_document_twice_and_other_columns_are_named(write, refusal):
    path = write("teacher.run", "q Q0 d1 1 3 t", "q Q0 d2 2 2 t", "q Q0 d1 3 1 t")
    assert f'{path}:3: document "d1" is ranked a second time for query "q"' in refusal("run", path)
    path = write("teacher.run", "q Q0 d1 1 3 t", "q Q0 d1 3")
    assert f"{path}:2: 4 columns; expected six" in refusal("run", path)


def test_a_published_re_ranking_reads_as_the_run_that_it_is(shared_data):
    path = shared_data / "trec-dl20" / "runs" / "gpt-3.5-turbo@bm25@2023-08-05T2240.run.gz"
    run = read_run(path)
    from limbeck.collections.text_files import START

    rows = list(find_format("run").read(path, START))
    assert {row.query_id: tuple(row.passage_ids) for row in rows} == {query: run[query].docids for query in run}
