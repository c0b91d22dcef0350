import json

from limbeck.lists.formats import find_format

LINE = {"query": "what boils", "pos": ["Water boils."], "neg": ["Iron melts.", "Glass breaks."]}


def test_texts_are_lists_with_labels(write, read):
    (row,) = read("flagembedding", write("train.jsonl", json.dumps(LINE)))
    assert (row.query_id, row.passage_ids) == ("what boils", ["Water boils.", "Iron melts.", "Glass breaks."])
    assert (row.labels, row.teacher_scores) == ([1, 0, 0], None)
    assert find_format("flagembedding").is_text


def test_scores_are_the_teachers(write, read):
    line = {**LINE, "pos_scores": [4.5], "neg_scores": [1, -2], "prompt": "…"}
    (row,) = read("flagembedding", write("train.jsonl", json.dumps(line)))
    assert (row.labels, row.teacher_scores) == ([1, 0, 0], [4.5, 1, -2])


def test_what_is_of_another_shape_is_named(write, refusal):
    for value, words in (
        ({**LINE, "query": 3}, "no query"),
        ({**LINE, "neg": "Iron"}, "`neg` is no list of texts"),
        ({**LINE, "pos": [3]}, "`pos` is no list of texts"),
        ({**LINE, "pos_scores": [1], "neg_scores": [1]}, "`neg_scores` is no list of 2 scores"),
        ({**LINE, "pos_scores": [1, 2], "neg_scores": [1]}, "`pos_scores` is no list of 1 scores"),
        ({**LINE, "query": "half a pair: \ud83d"}, "half a surrogate pair"),
        ({**LINE, "pos_scores": [1], "neg_scores": [1, "x"]}, 'a score is "x"'),
    ):
        path = write("train.jsonl", json.dumps(LINE), json.dumps(value))
        assert f"{path}:2: " in refusal("flagembedding", path)
        assert words in refusal("flagembedding", path)
