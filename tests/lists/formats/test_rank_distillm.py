from limbeck.lists.formats import find_format

NAME = "__rankzephyr-colbert-10000-sampled-100__msmarco-passage-train-judged"


def test_runs_and_parquet_give_the_same_lists(write, read):
    run = write(f"{NAME}.run", "1 Q0 70 1 2 rankzephyr", "1 Q0 80 2 1 rankzephyr", "2 Q0 70 1 1 rankzephyr")
    columns = {"qid": ["1", "1", "2"], "docno": ["80", "70", "70"], "score": [1.0, 2.0, 1.0], "rank": [2, 1, 1]}
    expected = [("1", ["70", "80"], [2, 1]), ("2", ["70"], [1])]
    for path in (run, write(f"{NAME}.parquet", **columns)):
        rows = read("rank-distillm", path)
        assert [(row.query_id, row.passage_ids, row.teacher_order) for row in rows] == expected
        assert rows[0].teacher_scores == [2, 1]


def test_whole_number_ids_are_read_as_text(write, read):
    (row,) = read("rank-distillm", write("x.parquet", qid=[1, 1], docno=[7, 8], score=[2.0, 1.0], rank=[1, 2]))
    assert (row.query_id, row.passage_ids) == ("1", ["7", "8"])


def test_the_checksums_of_published_files_are_known():
    assert find_format("rank-distillm").md5[f"{NAME}.parquet"] == "38f69a3c8a5ed21c639e882a6c2eff7c"


def test_other_columns_and_empty_values_are_named(write, refusal):
    path = write("x.parquet", query=["1"], docno=["2"])
    assert refusal("rank-distillm", path) == f"{path}: no column qid, score, rank; expected qid, docno, score, rank"
    path = write("y.parquet", qid=["1", "1"], docno=["2", None], score=[1.0, 0.5], rank=[1, 2])
    assert refusal("rank-distillm", path) == f"{path}:2: column docno is empty, expected a value"
    other = write("z.parquet", qid=["1"], docno=["2"], score=["high"], rank=[1])
    assert refusal("rank-distillm", other) == f'{other}:1: score is "high", expected a finite number'
    path.write_bytes(path.read_bytes()[:-20])
    assert "cannot be read as Parquet" in refusal("rank-distillm", path)
