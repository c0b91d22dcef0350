import json

LINE = {
    "query": {"text": "what boils", "qid": 23849},
    "candidates": [
        {"docid": "8010561", "score": 0.5, "doc": {"contents": "Water boils."}},
        {"docid": 4348282, "score": 0.5, "doc": {"segment": "Iron melts.", "title": "Iron"}},
    ],
    "invocations_history": [{"prompt": "…", "response": "[1] > [2]"}],
}


def test_the_order_is_the_signal_and_scores_are_not_looked_at(write, read):
    (row,) = read("rank-llm", write("reranked.jsonl", json.dumps(LINE)))
    assert (row.query_id, row.passage_ids) == ("23849", ["8010561", "4348282"])
    assert (row.teacher_order, row.teacher_scores, row.labels) == ([2, 1], None, None)


def test_what_is_of_another_shape_is_named(write, refusal):
    for value, words in (
        ({**LINE, "query": "what boils"}, "no query with qid"),
        ({**LINE, "candidates": [{"doc": {}}]}, "no candidates with docid"),
        ({**LINE, "query": {"text": "what boils"}}, "qid is null, expected an id"),
        ([LINE], "an array, expected an object; expected"),
    ):
        path = write("reranked.jsonl", json.dumps(LINE), json.dumps(value))
        assert f"{path}:2: " in refusal("rank-llm", path)
        assert words in refusal("rank-llm", path)
