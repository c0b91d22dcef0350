import pytest

from limbeck.study.config.yaml_file import read_yaml, show


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


@pytest.mark.parametrize(
    "text",
    ["a: [1", "a: 1\n b: 2", "a: *nothing", "\tb: 1", "? [1, 2]\n: 3", "a: &x [*x]", "a: !!python/object:os.system 1"],
)
def test_what_is_not_plain_yaml_is_a_problem_and_no_traceback(text: str) -> None:
    assert read_yaml(text).problems


def test_keys_are_shown_as_people_write_them() -> None:
    assert show(("recipes", "BCE", 0, "objective")) == "recipes.BCE[0].objective"
