"""JSON, damaged in whatever way, gives one error with its place, and what is read can be walked and computed with."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import DataError, MissingError
from limbeck.core.json_files import MAX_DEPTH, Schema, fault_of, key_of, parse_json, read_json, read_json_lines

VALUES: Schema = {"measures": [str], "values": {...: {...: float}}, "seed?": (int, None)}
GOOD = {"measures": ["AP"], "values": {"AP": {"q1": 0.5, "q2": 1}}, "seed": None, "more": [True]}


def refused(path: Path, content: bytes, schema: Schema = VALUES) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_json(path, schema, "remove it and run again")
    assert str(error.value).startswith(str(path))
    assert str(error.value).endswith("; remove it and run again")
    return str(error.value).removeprefix(str(path)).removesuffix("; remove it and run again")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text(json.dumps(GOOD, indent=1))
    assert read_json(path, VALUES, "") == GOOD
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode())
    assert read_json(path, VALUES, "") == GOOD
    # The state of a 128-bit random generator.
    assert parse_json(str(2**128), "state") == 2**128


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: not JSON (Expecting value, column 1)"),
        (b'{\n"a": 1,\n\xff}', ":3: not UTF-8 text (byte 0xff)"),
        (b'{\n"a": 1,\n', ":3: not JSON (Expecting property name enclosed in double quotes, column 1)"),
        (b"\x00\x00\x00", ":1: not JSON (Expecting value, column 1)"),
        (b"[" * 100_000, ": more than 100 arrays and objects inside one another"),
        (b"[" * 101 + b"[]" + b"]" * 101, ": more than 100 arrays and objects inside one another"),
        (b"1" * 5000, ": a whole number of 5,000 digits; expected at most 40"),
        (b"-1" + b"0" * 40, ": a whole number of 42 digits; expected at most 40"),
        (b"1e999", ": the number 1e999 is beyond what a 64-bit float holds"),
        (b"NaN", ": NaN is no JSON number"),
        (b"-Infinity", ": -Infinity is no JSON number"),
        (b'{"\\ud800": 1}', ": half a surrogate pair (\\ud800 to \\udfff), which is no text"),
        (b"[]", ": an array, expected an object"),
        (b'{"measures": []}', ': "values" is missing'),
        (b'{"measures": [1], "values": {}}', ': "measures[0]": a whole number, expected a string'),
        (
            b'{"measures": [], "values": {"AP": {"q1": true}}}',
            ': "values.AP.q1": true or false, expected a number',
        ),
        (
            b'{"measures": [], "values": {}, "seed": "1"}',
            ': "seed": a string, expected a whole number or null',
        ),
        (
            b'{"measures": [], "values": {}, "seed": 9223372036854775808}',
            ': "seed": a whole number of 19 digits, expected a whole number or null',
        ),
    ],
)
def test_a_damaged_file_is_one_error_that_names_line_or_key(content: bytes, message: str, tmp_path: Path) -> None:
    assert refused(tmp_path / "values.json", content) == message


def test_an_absent_file_and_a_folder_are_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file; run again"):
        read_json(tmp_path / "absent.json", object, "run again")
    with pytest.raises(MissingError, match="cannot be read"):
        read_json(tmp_path, object, "run again")


def test_lines_name_their_line_and_a_half_written_last_one_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    assert list(read_json_lines(path, {"step": int}, "")) == [(1, {"step": 1}), (2, {"step": 2})]
    for line in (b'{"step": "2"}\n', b"\xff\n", b"\n", b"[" * 2000 + b"\n", b"9" * 5000 + b"\n", b"{}\n"):
        path.write_bytes(b'{"step": 1}\n' + line + b'{"step": 3}\n')
        with pytest.raises(DataError, match=r"log\.jsonl:2: .*; remove the line"):
            list(read_json_lines(path, {"step": int}, "remove the line"))


def test_a_foreign_text_is_capped() -> None:
    with pytest.raises(DataError, match=r"the answer of x: 9 bytes of JSON; expected at most 8"):
        parse_json(b"[1, 2, 3]", "the answer of x", max_bytes=8)
    assert parse_json('"\\ud800"', "the answer", lone_surrogates=True) == "\ud800"


def test_the_inner_fault_of_the_alternative_of_the_right_kind_is_told() -> None:
    schema: Schema = (None, {"name": str})
    assert fault_of(None, schema) is None
    assert fault_of({"name": "x"}, schema) is None
    assert fault_of({"name": 1}, schema) == '"name": a whole number, expected a string'
    assert fault_of([], schema) == "an array, expected null or an object"


def test_the_deepest_nesting_that_is_read_can_be_walked_and_written() -> None:
    value: Any = parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, "deep")
    assert json.loads(json.dumps(value)) == value
    assert math.isfinite(float(parse_json("9" * 40, "large")))


def test_the_order_of_keys_and_the_kind_of_sequence_do_not_matter() -> None:
    assert key_of({"b": (1, 2), "a": "é"}) == key_of({"a": "é", "b": [1, 2]})
    assert key_of({"a": 1}) != key_of({"a": 1.5})
    assert key_of(["a", "b"]) != key_of(["b", "a"])


def test_a_key_is_the_sha256_of_compact_json() -> None:
    # printf '{"a":"é","b":[1,2]}' | sha256sum
    assert key_of({"b": [1, 2], "a": "é"}, 16) == "9cfb1f938a87f2b8"
    assert len(key_of(None, 32)) == 32


def test_a_lone_surrogate_of_a_json_file_has_a_key() -> None:
    assert key_of("\ud800") != key_of("\ud801")
