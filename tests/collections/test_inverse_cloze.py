import pytest

from limbeck.collections import Collection, load_collection
from limbeck.collections.load import sentence_queries, without_suffixes
from limbeck.core.errors import UsageError


def collection_of(*texts: str) -> Collection:
    documents = {f"d{number}": text for number, text in enumerate(texts)}
    return Collection("c", documents, {"q": "a query"}, {"q": {"d0": 2}}, ("q",), ("old",), 2, True)


def test_each_sentence_of_four_words_asks_for_its_document() -> None:
    made = sentence_queries(collection_of("The still is cold. Wait. Does the copper glow at 78.4 °C? Yes, it does so!"))
    assert made.queries == {
        "d0~1": "The still is cold.", "d0~3": "Does the copper glow at 78.4 °C?", "d0~4": "Yes, it does so!",
    }  # fmt: skip
    assert made.qrels == {query_id: {"d0": 1} for query_id in made.queries}
    assert made.query_ids == ("d0~1", "d0~3", "d0~4")
    assert (made.relevance_level, made.drop_query_document, made.warnings) == (1, False, ())


def test_documents_without_a_sentence_are_counted() -> None:
    made = sentence_queries(collection_of("Too short.", "", "This one is long enough"))
    assert list(made.queries) == ["d2~1"]
    assert made.warnings == ("c: documents without a sentence of 4 or more words, and so without a query: 2",)


def test_no_sentence_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no document has a sentence"):
        sentence_queries(collection_of("Too short."))


def test_the_name_ends_in_sentences_and_may_then_name_folds() -> None:
    made = load_collection("demo~sentences")
    assert made.name == "demo~sentences"
    assert len(made.documents) == 420
    assert len(made.query_ids) > 1000
    assert made.documents[made.query_ids[0].split("~")[0]].startswith(made.queries[made.query_ids[0]])
    fifth = load_collection("demo~sentences@1/5")
    assert 0 <= len(fifth.query_ids) - len(made.query_ids) // 5 <= 1
    assert fifth.name == "demo~sentences@1/5"


@pytest.mark.parametrize(
    ("name", "base"),
    [("c~sentences", "c"), ("c/train~sentences@1/5", "c/train"), ("c@1/5", "c"), ("c@9/5", "c"), ("~/c", "~/c")],
)
def test_the_base_of_a_name(name: str, base: str) -> None:
    assert without_suffixes(name) == base
