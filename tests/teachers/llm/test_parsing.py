import pytest

from limbeck.teachers.llm.engine import DEFECTS, parse_grade, parse_order


@pytest.mark.parametrize(
    "text",
    [
        "[2] > [3] > [1]",
        "[2]>[3]>[1]",
        "Here it is: [2] > [3] > [1].",
        "[2] >\n[3] >\n[1]",
        "<think>[1]?</think>[2] > [3] > [1]",
        "Is it [1]?</think>[2] > [3] > [1]",
    ],
)
def test_a_complete_answer_is_an_order(text):
    assert parse_order(text, 3).value == (1, 2, 0)


@pytest.mark.parametrize(
    ("text", "defects"),
    [
        ("I'm sorry, but I can't help with that.", ("refusal",)),
        ("", ("refusal",)),
        ("2 > 3 > 1", ("refusal",)),
        ("[2] > [1]", ("missing",)),
        ("[2] > [3] > [1] > [2]", ("repeated",)),
        ("[2] > [3] > [1] > [4]", ("invented",)),
        ("[0] > [1] > [2]", ("missing", "invented")),
        ("[1] the first passage [2] the second [3] the third", ("unordered",)),
        ("[1], [2], [3]", ("unordered",)),
        ("[1] [2] [3]", ("unordered",)),
        ("Passage [3] is better than [2]: [3] > [2] > [1]", ("repeated", "unordered")),
    ],
)
def test_anything_else_is_none_and_says_why(text, defects):
    parsed = parse_order(text, 3)
    assert parsed.value is None
    assert parsed.defects == defects
    assert set(defects) <= set(DEFECTS)


def test_an_answer_that_ended_at_the_limit_is_none_even_if_it_looks_complete():
    assert parse_order("[2] > [1]", 2, "length").defects == ("truncated",)


def test_the_order_within_an_unfinished_thought_is_no_answer():
    assert parse_order("<think>maybe [2] > [1] > [3], but [1] ...", 3).value is None


@pytest.mark.parametrize("grade", range(4))
def test_a_grade_is_read_from_its_line_or_alone(grade):
    assert parse_grade(f"##final score: {grade}").value == grade
    assert parse_grade(f"Reasoning.\n## Final score: {grade}\n").value == grade
    assert parse_grade(f" {grade}\n").value == grade


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        ("The passage scores 3 of 3.", "refusal"),
        ("", "refusal"),
        ("##final score: 4", "invented"),
        ("##final score: -1", "invented"),
        ("##final score: 2.5", "refusal"),
        ("##final score: 2/3", "refusal"),
        ("##final score: " + "1" * 5000, "refusal"),
        ("##final score: 1 ... ##final score: 3", "repeated"),
    ],
)
def test_anything_else_is_no_grade(text, defect):
    parsed = parse_grade(text)
    assert (parsed.value, parsed.defects) == (None, (defect,))


def test_a_grade_before_the_token_limit_is_none_as_another_might_have_followed():
    assert parse_grade("##final score: 3\n##final", finish_reason="length").defects == ("truncated",)
