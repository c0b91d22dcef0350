import pytest


def test_the_first_passage_is_the_positive_and_scores_are_the_teachers(write, read):
    path = write("examples.json", "[184, [7067032, 3.5], [88, -1.25], [99, 2]]", '["185", ["1", 0], ["2", 1]]')
    first, second = read("colbertv2", path)
    assert (first.query_id, first.passage_ids) == ("184", ["7067032", "88", "99"])
    assert (first.labels, first.teacher_scores) == ([1, 0, 0], [3.5, -1.25, 2])
    assert (second.query_id, second.passage_ids) == ("185", ["1", "2"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[184, [70, 3.5], [88]]", "not pairs of passage and score"),
        ("[184]", "not pairs of passage and score"),
        ('[184, [70, "3.5"]]', 'a score is "3.5", expected a finite number'),
        ("[184, [70, NaN]]", "NaN is no JSON number"),
        ("[184, [7.5, 1]]", "a passage is 7.5, expected an id"),
        ('{"qid": 184}', "an object, expected an array; expected `[qid, [pid, score]"),
        ("[184, [70", "not JSON"),
        ("[]", "not pairs of passage and score"),
        ("[null, [7, 1]]", "the query is null"),
    ],
)
def test_a_line_of_another_shape_is_named(write, refusal, line, words):
    path = write("examples.json", "[1, [2, 3.5]]", line)
    assert refusal("colbertv2", path).startswith(f"{path}:2: ")
    assert words in refusal("colbertv2", path)
