from dataclasses import replace

import pytest

from limbeck.collections import Collection

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
    assert replace(BASE, **change).fingerprint != BASE.fingerprint  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"name": "b"}, {"warnings": ("w",)}, {"qrels": {"q1": {"d2": 0, "d1": 1}}}]
)  # fmt: skip
def test_names_warnings_and_the_order_of_judgments_do_not(change: dict[str, object]) -> None:
    assert replace(BASE, **change).fingerprint == BASE.fingerprint  # type: ignore[arg-type]


def test_a_fingerprint_is_the_same_everywhere() -> None:
    assert BASE.fingerprint == "8ee84878bee0f692"


def test_documents_with_an_identity_are_not_read_for_the_fingerprint() -> None:
    class Unreadable(dict[str, str]):
        def items(self) -> object:  # type: ignore[override]
            raise AssertionError

    assert len(replace(BASE, documents=Unreadable(), documents_identity="x 2").fingerprint) == 16
