FORMAT = "sentence-transformers"


def test_orders_are_best_first(write, read):
    first, second, third = read(
        FORMAT, write("rankzephyr.parquet", query_id=["1", "2", "3"], doc_ids=[["9", "8", "7"], ["5"], ["4", "3"]])
    )
    assert (first.query_id, first.passage_ids, first.teacher_order) == ("1", ["9", "8", "7"], [3, 2, 1])
    assert (first.labels, second.passage_ids, third.teacher_order) == (None, ["5"], [2, 1])


def test_labelled_lists_keep_their_labels(write, read):
    (row,) = read(FORMAT, write("x.parquet", query_id=["1"], doc_ids=[["9", "8"]], labels=[[1, 0]]))
    assert (row.passage_ids, row.labels, row.teacher_order) == (["9", "8"], [1, 0], None)


def test_triplets_and_margins_are_lists_of_two(write, read):
    ids = {"query_id": ["400296"], "positive_id": ["1540783"], "negative_id": ["3518497"]}
    (plain,) = read(FORMAT, write("triplets.parquet", **ids))
    assert (plain.passage_ids, plain.labels, plain.teacher_scores) == (["1540783", "3518497"], [1, 0], None)
    (margin,) = read(FORMAT, write("margin.parquet", **ids, score=[4.028059]))
    assert (margin.labels, margin.teacher_scores) == ([1, 0], [4.028059, 0])


def test_scored_passages_of_a_query_are_one_list_until_one_comes_again(write, read):
    path = write(
        "mse.parquet",
        query_id=["1", "1", "1", "1", "2"],
        passage_id=["7", "8", "7", "9", "7"],
        score=[3.0, 1.0, 3.0, 2.0, 5.0],
    )
    rows = read(FORMAT, path)
    assert [(row.query_id, row.passage_ids) for row in rows] == [("1", ["7", "8"]), ("1", ["7", "9"]), ("2", ["7"])]
    assert [row.teacher_scores for row in rows] == [[3, 1], [3, 2], [5]]
    assert [row.place.number for row in rows] == [1, 3, 5]


def test_scores_of_a_cross_encoder_come_as_lists_or_as_pairs(write, read):
    path = write("list.parquet", query_id=[2, 5], corpus_id=[[7, 8], [9]], score=[[10.5, -3.25], [0.5]])
    first, second = read(FORMAT, path)
    assert (first.query_id, first.passage_ids, first.teacher_scores) == ("2", ["7", "8"], [10.5, -3.25])
    assert (first.labels, second.query_id, second.passage_ids) == (None, "5", ["9"])
    path = write("pair.parquet", query_id=["2", "2", "5"], corpus_id=["7", "8", "9"], score=[10.5, -3.25, 0.5])
    assert [row[1:] for row in read(FORMAT, path)] == [first[1:], second[1:]]


def test_tuples_of_ids_have_one_positive(write, read):
    path = write("triplet-50-ids.parquet", query=[1], positive=[7], negative_1=[8], negative_2=[9])
    (row,) = read(FORMAT, path)
    assert (row.query_id, row.passage_ids, row.labels) == ("1", ["7", "8", "9"], [1, 0, 0])


def test_what_is_of_another_shape_is_named(write, refusal):
    path = write("x.parquet", qid=["1"], text=["x"])
    assert f"{path}: columns qid, text; expected those of a set of sentence-transformers" in refusal(FORMAT, path)
    path = write("y.parquet", query_id=["1", "2"], doc_ids=[["9"], ["8", "7"]], labels=[[1], [0]])
    assert refusal(FORMAT, path) == f"{path}:2: 1 labels for 2 doc_ids; expected as many"
    path = write("y.parquet", query_id=["1", "2"], doc_ids=[["9"], ["8", None]])
    assert refusal(FORMAT, path) == f"{path}:2: a passage is null, expected an id: a text or a whole number"
    path = write("y.parquet", query_id=["1"], doc_ids=["9 8"])
    assert refusal(FORMAT, path) == f'{path}:1: doc_ids is "9 8", expected a list'
    path = write("y.parquet", query_id=["1"], positive_id=["9"], negative_id=["8"], score=["high"])
    assert refusal(FORMAT, path) == f'{path}:1: score is "high", expected a finite number'
    path = write("l.parquet", query_id=["1"], corpus_id=[["9", "8"]], score=[[1.0]])
    assert refusal(FORMAT, path) == f"{path}:1: 1 scores for 2 passages; expected as many"
    path = write("l.parquet", query_id=["1"], corpus_id=[["9"]], score=[["high"]])
    assert refusal(FORMAT, path) == f'{path}:1: a score is "high", expected a finite number'
    path = write("z.parquet", query=["what boils"], positive=["Water."], negative=["Iron."])
    assert "expected ids: take the `-ids` set" in refusal(FORMAT, path)
