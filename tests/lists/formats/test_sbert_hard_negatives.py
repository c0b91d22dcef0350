import json

SCORED = {
    "qid": 867436,
    "pos": [{"pid": 52, "ce-score": 10.5}],
    "neg": {
        "bm25": [{"pid": 7, "ce-score": -1.5}, {"pid": 8, "ce-score": 0.25}],
        "msmarco-distilbert-base-tas-b": [{"pid": 8, "ce-score": 0.25}, {"pid": 9, "ce-score": 3}],
    },
}


def test_positives_then_every_systems_negatives_each_once(write, read):
    (row,) = read("sbert-hard-negatives", write("msmarco-hard-negatives.jsonl.gz", json.dumps(SCORED)))
    assert (row.query_id, row.passage_ids) == ("867436", ["52", "7", "8", "9"])
    assert (row.labels, row.teacher_scores) == ([1, 0, 0, 0], [10.5, -1.5, 0.25, 3])


def test_ids_without_scores_are_lists_with_labels_only(write, read):
    (row,) = read("sbert-hard-negatives", write("x.jsonl", '{"qid": 1, "pos": [5, 6], "neg": {"bm25": [7, 5]}}'))
    assert (row.passage_ids, row.labels, row.teacher_scores) == (["5", "6", "7"], [1, 1, 0], None)


def test_a_query_without_passages_is_an_empty_list_for_whoever_counts(write, read):
    (row,) = read("sbert-hard-negatives", write("x.jsonl", '{"qid": 1, "pos": [], "neg": {}}'))
    assert row.passage_ids == []


def test_what_is_of_another_shape_is_named(write, refusal):
    for value, words in (
        ({**SCORED, "pos": 3}, "no list `pos`"),
        ({**SCORED, "neg": [7]}, "no mapping `neg`"),
        ({**SCORED, "neg": {"bm25": 7}}, "no list"),
        ({**SCORED, "neg": {"bm25": [7]}}, "some passages have a ce-score and some none"),
        ({**SCORED, "neg": {"bm25": [{"pid": 7}]}}, "ce-score is null"),
        ({**SCORED, "qid": None}, "qid is null"),
    ):
        path = write("x.jsonl", json.dumps(SCORED), json.dumps(value))
        assert f"{path}:2: " in refusal("sbert-hard-negatives", path)
        assert words in refusal("sbert-hard-negatives", path)
