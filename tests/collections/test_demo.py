import json
import re
from importlib.resources import files

import ir_measures
import pytest

from limbeck.collections import Collection, load_collection
from limbeck.collections.near_duplicates import KnownTexts
from limbeck.core.errors import UsageError
from limbeck.retrieval import BM25

SPLITS = ("train", "valid", "test", "log")


@pytest.fixture(scope="module")
def splits() -> dict[str, Collection]:
    return {split: load_collection(f"demo/{split}") for split in SPLITS}


def test_demo_is_its_test_split(splits: dict[str, Collection]) -> None:
    assert load_collection("demo").fingerprint == splits["test"].fingerprint
    assert load_collection("demo").name == "demo"


def test_an_unknown_split_of_the_demo_is_refused() -> None:
    with pytest.raises(UsageError, match=r'no split "tests".*did you mean "test"'):
        load_collection("demo/tests")


def test_the_demo_is_large_enough_to_learn_from(splits: dict[str, Collection]) -> None:
    documents = splits["test"].documents
    assert len(documents) >= 400
    subjects = {re.split(r"[-_:.\d]", docid)[0] for docid in documents}
    assert len(subjects) >= 8
    assert len(splits["train"].query_ids) >= 110
    assert len(splits["valid"].query_ids) == 20
    assert len(splits["test"].query_ids) == 150
    assert len(splits["log"].query_ids) == 658


def test_demo_passages_are_30_to_90_words_long() -> None:
    corpus = files("limbeck.collections") / "demo_collection" / "corpus.jsonl"
    rows = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    lengths = {row["_id"]: len(row["text"].split()) for row in rows}
    assert {docid: length for docid, length in lengths.items() if not 30 <= length <= 90} == {}


def test_no_query_of_the_demo_is_in_two_splits(splits: dict[str, Collection]) -> None:
    ids = [query_id for split in SPLITS for query_id in splits[split].query_ids]
    texts = [splits[split].queries[query_id].casefold() for split in SPLITS for query_id in splits[split].query_ids]
    assert len(set(ids)) == len(ids)
    assert len(set(texts)) == len(texts)


def test_no_test_query_of_the_demo_is_nearly_one_of_another_split(splits: dict[str, Collection]) -> None:
    texts = {name: [split.queries[query_id] for query_id in split.query_ids] for name, split in splits.items()}
    known = KnownTexts(texts.pop("test"))
    assert [text for others in texts.values() for text in others if list(known.find(text))] == []


def test_demo_grades_are_zero_to_two_and_every_query_has_a_relevant_passage(splits: dict[str, Collection]) -> None:
    for collection in splits.values():
        assert collection.warnings == ()
        for grades in collection.qrels.values():
            assert set(grades.values()) <= {0, 1, 2}
            assert max(grades.values()) > 0
    assert {grade for grades in splits["test"].qrels.values() for grade in grades.values()} == {0, 1, 2}


def test_bm25_leaves_the_demo_room_to_improve_and_its_top_ten_are_judged(splits: dict[str, Collection]) -> None:
    collection = splits["test"]
    run = BM25().retrieve(collection, depth=10, progress=False)
    assert [(q, d) for q in run for d in run[q].docids if d not in collection.qrels[q]] == []
    ranks = {query_id: {docid: -float(i) for i, docid in enumerate(run[query_id].docids)} for query_id in run}
    ndcg = ir_measures.parse_measure("nDCG@10")
    values = {metric.query_id: metric.value for metric in ir_measures.iter_calc([ndcg], collection.qrels, ranks)}
    assert 0.40 <= sum(values.values()) / len(collection.query_ids) <= 0.75
