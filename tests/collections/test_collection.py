from dataclasses import replace

import pytest

from limbeck.collections import Collection
from limbeck.collections.collection import merge
from limbeck.core.errors import DataError, UsageError

BASE = Collection(
    name="a",
    documents={"d1": "one", "d2": "two"},
    queries={"q1": "which", "q2": "other"},
    qrels={"q1": {"d1": 1, "d2": 0}},
    query_ids=("q1",),
)


@pytest.mark.parametrize(
    "change",
    [
        {"documents": {"d1": "one", "d2": "three"}},
        {"documents": {"d1": "one", "d2t": "wo"}},
        {"documents": {"d1": "one"}},
        {"documents_identity": "ir_datasets x 2"},
        {"queries": {"q1": "which", "q2": "others"}},
        {"qrels": {"q1": {"d1": 2, "d2": 0}}},
        {"qrels": {"q1": {"d1": 1}}},
        {"query_ids": ("q1", "q2")},
        {"relevance_level": 2},
        {"drop_query_document": True},
    ],
)
def test_whatever_can_change_an_outcome_changes_the_fingerprint(change: dict[str, object]) -> None:
    assert replace(BASE, **change).fingerprint != BASE.fingerprint


@pytest.mark.parametrize(
    "change", [{"name": "b"}, {"warnings": ("w",)}, {"qrels": {"q1": {"d2": 0, "d1": 1}}}]
)  # fmt: skip
def test_names_warnings_and_the_order_of_judgments_do_not(change: dict[str, object]) -> None:
    assert replace(BASE, **change).fingerprint == BASE.fingerprint


def test_a_fingerprint_is_the_same_everywhere() -> None:
    assert BASE.fingerprint == "8ee84878bee0f692"


def test_documents_with_an_identity_are_not_read_for_the_fingerprint() -> None:
    class Unreadable(dict[str, str]):
        def items(self) -> object:
            raise AssertionError

    assert len(replace(BASE, documents=Unreadable(), documents_identity="x 2").fingerprint) == 16


LEFT = Collection(
    name="left",
    documents={"d1": "copper", "d2": "ether"},
    queries={"q1": "which metal", "q2": "which liquid"},
    qrels={"q1": {"d1": 1}},
    query_ids=("q1",),
    warnings=("left is small",),
)
RIGHT = Collection(
    name="right",
    documents={"d2": "ether", "d3": "glass"},
    queries={"q2": "which liquid", "q3": "which vessel"},
    qrels={"q3": {"d3": 2}, "q1": {"d1": 2, "d2": 0}},
    query_ids=("q3",),
    relevance_level=2,
)


def test_everything_of_every_collection_is_there_in_order() -> None:
    merged = merge([LEFT, RIGHT])
    assert merged.name == "left + right"
    assert dict(merged.documents) == {"d1": "copper", "d2": "ether", "d3": "glass"}
    assert list(merged.queries) == ["q1", "q2", "q3"]
    assert merged.query_ids == ("q1", "q3")
    assert merged.qrels == {"q1": {"d1": 2, "d2": 0}, "q3": {"d3": 2}}
    assert merged.warnings == ("left is small",)
    assert merged.relevance_level == 2


def test_a_document_with_two_texts_is_refused_and_both_collections_are_named() -> None:
    other = replace(RIGHT, documents={"d2": "ethanol"})
    with pytest.raises(DataError, match=r'document "d2" has one text in left and another in right'):
        merge([LEFT, other])


def test_a_query_with_two_texts_is_refused_and_the_right_one_of_three_collections_is_named() -> None:
    other = replace(RIGHT, name="third", queries={"q3": "which jar"})
    with pytest.raises(DataError, match=r'query "q3" has one text in right and another in third'):
        merge([LEFT, RIGHT, other])


def test_one_collection_stays_itself_and_none_is_an_error() -> None:
    assert merge([LEFT]) is LEFT
    with pytest.raises(UsageError, match="at least one"):
        merge([])


def test_documents_of_one_source_are_not_read_to_be_merged() -> None:
    class Unread(dict[str, str]):
        def items(self):
            raise AssertionError("read")

    left = replace(LEFT, documents=Unread(LEFT.documents), documents_identity="source 1")
    right = replace(RIGHT, documents=Unread(LEFT.documents), documents_identity="source 1")
    assert merge([left, right]).documents is left.documents
