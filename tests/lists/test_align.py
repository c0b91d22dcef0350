import json

import pytest

from limbeck.collections import load_collection
from limbeck.core.errors import DataError, UsageError
from limbeck.lists import Conversion, convert, read_lists
from limbeck.lists.align import TextIds, write_own_texts

LINES = [
    {"query": "what boils", "pos": ["Water boils."], "neg": ["Iron melts.", "Glass  breaks."]},
    {"query": "what melts", "pos": ["Iron melts."], "neg": [" Water boils. ", "Glass breaks."]},
]


def test_a_file_of_texts_alone_is_a_collection_and_its_lists(tmp_path):
    source = tmp_path / "train.jsonl"
    source.write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    write_own_texts(source, "flagembedding", tmp_path / "own")
    collection = load_collection(str(tmp_path / "own"))
    assert list(collection.documents.values()) == ["Water boils.", "Iron melts.", "Glass  breaks."]
    assert list(collection.queries.values()) == ["what boils", "what melts"]
    convert(source, tmp_path / "lists.parquet", Conversion("flagembedding"), collection)
    lists = read_lists(tmp_path / "lists.parquet")
    texts = [[" ".join(collection.documents[p].split()) for p in passages] for passages in lists.passage_ids]
    assert [collection.queries[query_id] for query_id in lists.query_ids] == ["what boils", "what melts"]
    assert texts == [["Water boils.", "Iron melts.", "Glass breaks."], ["Iron melts.", "Water boils.", "Glass breaks."]]
    before = (tmp_path / "own" / "corpus.jsonl").read_bytes()
    write_own_texts(source, "flagembedding", tmp_path / "own")
    assert (tmp_path / "own" / "corpus.jsonl").read_bytes() == before


def test_a_damaged_file_leaves_no_half_collection(tmp_path):
    source = tmp_path / "train.jsonl"
    source.write_text(f"{json.dumps(LINES[0])}\n{{\n")
    with pytest.raises(DataError, match=r"train\.jsonl:2: not JSON"):
        write_own_texts(source, "flagembedding", tmp_path / "own")
    assert list(tmp_path.iterdir()) == [source]


def test_another_collection_is_not_written_over(tmp_path):
    source, own = tmp_path / "train.jsonl", tmp_path / "own"
    own.mkdir()
    source.write_text(f"{json.dumps(LINES[0])}\n")
    write_own_texts(source, "flagembedding", own)
    before = (own / "corpus.jsonl").read_bytes()
    source.write_text(f"{json.dumps(LINES[1])}\n")
    with pytest.raises(UsageError, match=r"own: holds something else than the texts of .*train\.jsonl; name a new"):
        write_own_texts(source, "flagembedding", own)
    assert (own / "corpus.jsonl").read_bytes() == before


def test_a_format_with_ids_has_no_texts_of_its_own(tmp_path):
    with pytest.raises(UsageError, match="triples has ids and no texts; name the collection"):
        write_own_texts(tmp_path / "x", "triples", tmp_path / "own")


def test_a_text_is_found_whatever_its_blanks_and_the_first_of_equal_ones_counts():
    ids = TextIds([("d1", "water  boils"), ("d2", "iron melts"), ("d3", " water boils")])
    assert [ids.find(text) for text in ("water boils\n", "iron  melts", "iron")] == ["d1", "d2", None]
    assert TextIds([]).find("iron") is None


def test_a_text_whose_utf_8_was_taken_for_latin_1_is_the_text_that_it_was():
    texts = {"d1": "we don’t know", "d2": "a café in Zürich", "d3": "two\xa0words", "d4": "水と油", "d5": "油と水"}
    ids = TextIds(texts.items())
    for text_id, text in texts.items():
        misread = text.encode().decode("latin-1")
        assert misread != text
        assert ids.find(text) == ids.find(misread) == ids.find(misread.encode().decode("latin-1")) == text_id
    assert ids.find("Ã") is None
