"""Keys of content: equal for equal content, and as they were, for what is kept under them was paid for."""

from limbeck.core.hashing import key_of


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
