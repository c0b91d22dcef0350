import pytest

from limbeck.core.yaml_file import read_yaml, show


@pytest.mark.parametrize("text", ["1e-5", "1E-5", "1.0e-5", "+1e-5", "1.e-5", "0.1e-4"])
def test_numbers_with_an_exponent_are_numbers(text: str) -> None:
    assert read_yaml(f"rate: {text}").values == {"rate": 1e-5}


def test_words_that_look_a_little_like_numbers_stay_words() -> None:
    assert read_yaml("a: 53aa5117\nb: e5\nc: 1e\nd: bm25").values == {
        "a": "53aa5117",
        "b": "e5",
        "c": "1e",
        "d": "bm25",
    }


def test_every_value_knows_its_line() -> None:
    document = read_yaml("a: 1\nb:\n  c: [2,\n      3]\n  d: {e: 4}\n")
    assert document.line(("b", "c", 1)) == 4
    assert document.line(("b", "d", "e")) == 5
    assert document.line(("b", "d", "absent")) == 5


def test_a_key_given_twice_is_a_problem_on_its_second_line() -> None:
    [problem] = read_yaml("a: 1\nb: 2\na: 3\n").problems
    assert (problem.key, problem.line) == (("a",), 3)
    assert "first is on line 1" in problem.text


def test_merge_keys_and_aliases_work_and_may_be_overridden() -> None:
    document = read_yaml("base: &base {x: 1, y: 2}\nmore:\n  <<: *base\n  y: 3\n")
    assert document.values["more"] == {"x": 1, "y": 3}
    assert not document.problems


def test_keys_are_taken_as_written() -> None:
    assert read_yaml("no: 1\n5: 2").values == {"no": 1, "5": 2}


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"name: x\n{BOMB}", None, "its aliases stand for more than 100,000 values"),
        ("a: 1\nb: " + "[" * 3000, 2, "more than 60 lists and mappings stand within one another"),
        ("a: 1\nb: " + "{x: " * 3000, 2, "more than 60 lists and mappings stand within one another"),
        ("a: 1\n" + "".join(f"{' ' * n}a:\n" for n in range(200)), None, "more than 60 lists"),
        ("a: 1\nb: !!bool foo", 2, "the tag !!bool is not taken"),
        ("a: 1\nb: !!timestamp foo", 2, "the tag !!timestamp is not taken"),
        ("a: 1\nb: !!int ''", 2, "the tag !!int is not taken"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]", 2, "the tag !!python/object/apply:os.system is not taken"),
        ("a: 1\nb: !own x", 2, "the tag !own is not taken"),
        ("a: 1\nb: \x00", 2, "it holds the character U+0000"),
        ("a: 1\nb: " + "9" * 5000, 2, "is a number of 5,000 digits"),
        ("a: 1\nb: &b\n  <<: *b", 3, "merges itself"),
        ("a: 1\nb: {<<: 5}", 2, "merges what is no mapping"),
        ("x" * 1_000_001, 1, "it has 1,000,001 characters"),
    ],
    ids=lambda value: str(value)[:24].replace("\n", " "),
)
def test_what_is_hostile_is_one_problem_with_its_line_and_no_hang(text: str, line: int | None, words: str) -> None:
    document = read_yaml(text)
    [problem] = document.problems
    assert words in problem.text
    assert line is None or (problem.line or document.line(problem.key)) == line


def test_merges_of_merges_are_bounded_by_what_they_hold() -> None:
    document = read_yaml(MERGES)
    assert not document.problems
    assert document.values["a9"] == {"x": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2020-13-45", "2020-13-45"), ("2020-01-01", "2020-01-01"), ("1:30", "1:30"), ("010", 10), ("1_000", 1000),
        ("0x1f", "0x1f"), ("off", False), ("yes", True), ("~", None), ("", None), (".5", 0.5), ("-.inf", float("-inf")),
        ("=", "="), ("'1'", "1"), ("+3", 3),
    ],
)  # fmt: skip
def test_a_plain_value_is_what_it_looks_like(text: str, value: object) -> None:
    document = read_yaml(f"a: {text}")
    assert not document.problems
    assert document.values == {"a": value}


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: 1\n b: 2", "a: *nothing", "\tb: 1", "? [1, 2]\n: 3", "a: &x [*x]", "a: !!python/object:os.system 1"],
)
def test_what_is_not_plain_yaml_is_a_problem_and_no_traceback(text: str) -> None:
    assert read_yaml(text).problems


def test_keys_are_shown_as_people_write_them() -> None:
    assert show(("recipes", "BCE", 0, "objective")) == "recipes.BCE[0].objective"
