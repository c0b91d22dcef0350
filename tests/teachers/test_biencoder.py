"""A bi-encoder's embeddings are kept by content: none is made twice, and a kill loses a part at most."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.models.bi_encoder import BiEncoder
from limbeck.runs import Run
from limbeck.teachers import biencoder, biencoder_scores

DOCUMENTS = {f"d{number}": "copper " * number + "ether" for number in range(9)} | {"d9": "copper ether"}  # as d1
COLLECTION = Collection(
    name="tiny", documents=DOCUMENTS, queries={"q1": "copper", "q2": "glass"}, qrels={}, query_ids=("q1", "q2")
)


def run(depth):
    return Run.from_scores("r", {query_id: {f"d{n}": -n for n in range(depth)} for query_id in ("q1", "q2")})


@pytest.fixture
def embedded(tiny_bi_encoder, tmp_path, monkeypatch):
    """The bi-encoder, and the texts of each call that embedded some."""
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(biencoder, "PART", 3)
    calls = []
    encode = BiEncoder.encode

    def watched(self, texts, *args, **options):
        calls.append(list(texts))
        return encode(self, texts, *args, **options)

    monkeypatch.setattr(BiEncoder, "encode", watched)
    return BiEncoder.load(tiny_bi_encoder), calls


def test_scores_are_those_of_the_bi_encoder_and_nothing_is_embedded_twice(embedded):
    encoder, calls = embedded
    found = biencoder_scores(encoder, COLLECTION, run(10), scale=2)
    assert [len(texts) for texts in calls] == [2, 3, 3, 3]  # nine different documents
    expected = encoder.score(COLLECTION, run(10), scale=2)
    for query_id in found:
        np.testing.assert_allclose(found[query_id], expected[query_id], rtol=1e-5)
    assert found["q1"][1] == found["q1"][9]
    calls.clear()
    again = biencoder_scores(encoder, replace(COLLECTION, name="under another name"), run(10), scale=2)
    assert calls == []
    assert all(np.array_equal(again[query_id], found[query_id]) for query_id in found)


def test_broken_off_it_goes_on_behind_the_last_part_and_says_so(embedded, monkeypatch):
    encoder, calls = embedded
    encode = BiEncoder.encode

    def interrupted(*args, **options):
        found = encode(*args, **options)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patched:
        patched.setattr(BiEncoder, "encode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            biencoder_scores(encoder, COLLECTION, run(9))
    calls.clear()
    console = Console(file=io.StringIO())
    biencoder_scores(encoder, COLLECTION, run(9), console=console)
    assert [text for texts in calls for text in texts] == [DOCUMENTS[f"d{n}"] for n in range(3, 9)]
    assert "Embed documents: 3 of 9 are there already" in console.file.getvalue()


def test_a_damaged_part_is_named(embedded, tmp_path):
    encoder, _ = embedded
    biencoder_scores(encoder, COLLECTION, run(3))
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"\.npz: cannot be read .*remove it"):
        biencoder_scores(encoder, COLLECTION, run(3))
