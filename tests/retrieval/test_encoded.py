"""What is encoded is kept: once for each model and text, whatever interrupts it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.models.bi_encoder import BiEncoder
from limbeck.models.splade import SpladeEncoder
from limbeck.retrieval import Dense, Splade

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture(params=["splade", "dense"])
def first_stage(request: pytest.FixtureRequest, splade_model: Path, dense_model: Path, cache: Path) -> Splade | Dense:
    return Splade(str(splade_model)) if request.param == "splade" else Dense(str(dense_model))


@pytest.fixture
def encoded_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All texts that an encoder was given, the encoder doing its work."""
    given: list[str] = []
    for encoder in (BiEncoder, SpladeEncoder):
        real: Any = encoder.encode

        def encode(self: Any, texts: Sequence[str], *rest: Any, real: Any = real, **options: Any) -> Any:
            given.extend(texts)
            return real(self, texts, *rest, **options)

        monkeypatch.setattr(encoder, "encode", encode)
    return given


def test_a_second_retrieval_encodes_nothing(
    first_stage: Splade | Dense, words: Collection, encoded_texts: list[str]
) -> None:
    run = first_stage.retrieve(words, 10, progress=False)
    assert sorted(encoded_texts) == sorted([*words.documents.values(), *words.queries.values()])
    encoded_texts.clear()
    assert first_stage.retrieve(words, 10, progress=False) == run
    assert first_stage.retrieve(words, 3, progress=False) == run.cut(3)
    assert encoded_texts == []


def test_other_queries_of_the_same_documents_encode_themselves_alone(
    first_stage: Splade | Dense, words: Collection, encoded_texts: list[str]
) -> None:
    run = first_stage.retrieve(replace(words, query_ids=("q1", "q2")), 10, progress=False)
    encoded_texts.clear()
    queries = {"q5": words.queries["q5"], "q1": words.queries["q1"]}
    other = first_stage.retrieve(replace(words, queries=queries, query_ids=("q5", "q1")), 10, progress=False)
    assert encoded_texts == list(queries.values())
    assert other["q1"].docids == run["q1"].docids
    # Other queries share its micro-batch: the last digits may differ.
    np.testing.assert_allclose(other["q1"].scores, run["q1"].scores, rtol=1e-5)


def test_other_documents_and_other_lengths_are_encoded_anew(
    first_stage: Splade | Dense, words: Collection, encoded_texts: list[str]
) -> None:
    first_stage.retrieve(words, 10, progress=False)
    encoded_texts.clear()
    first_stage.retrieve(replace(words, documents={**words.documents, "d1": "kiln"}), 10, progress=False)
    assert len(encoded_texts) == 40
    encoded_texts.clear()
    replace(first_stage, max_length=5).retrieve(words, 10, progress=False)
    assert len(encoded_texts) == 50


def test_an_interrupted_retrieval_goes_on_and_ends_as_if_nothing_had_happened(
    first_stage: Splade | Dense, words: Collection, encoded_texts: list[str], cache: Path, monkeypatch: Any, capfd: Any
) -> None:
    uninterrupted = first_stage.retrieve(words, 10, progress=False)
    monkeypatch.setenv("LIMBECK_CACHE", str(cache.with_name("other")))
    encoded_texts.clear()
    with monkeypatch.context() as patch:
        for encoder in (BiEncoder, SpladeEncoder):
            real: Any = encoder.encode

            def encode(self: Any, texts: Sequence[str], *rest: Any, real: Any = real, **options: Any) -> Any:
                if words.documents["d14"] in texts:
                    raise KeyboardInterrupt
                return real(self, texts, *rest, **options)

            patch.setattr(encoder, "encode", encode)
        with pytest.raises(KeyboardInterrupt):
            first_stage.retrieve(words, 10, progress=False)
    assert len(encoded_texts) == 10 + 14
    encoded_texts.clear()
    capfd.readouterr()
    assert first_stage.retrieve(words, 10) == uninterrupted
    assert encoded_texts == list(words.documents.values())[14:]
    assert "documents: 2 parts of 7 are there already" in capfd.readouterr().err


def test_what_is_kept_says_what_it_is(first_stage: Splade | Dense, words: Collection, cache: Path) -> None:
    first_stage.retrieve(words, 10, progress=False)
    found = [json.loads(path.read_text()) for path in sorted(cache.glob("encoded/*/about.json"))]
    assert sorted(about["texts"] for about in found) == [10, 40]
    assert all(about["weights"].startswith("sha256:") for about in found)


def test_a_damaged_part_is_named_with_its_remedy(first_stage: Splade | Dense, words: Collection, cache: Path) -> None:
    first_stage.retrieve(words, 10, progress=False)
    damaged = max(cache.glob("encoded/*/000005.np?"))
    damaged.write_bytes(damaged.read_bytes()[:-30])
    with pytest.raises(DataError, match=f"{damaged.name}: cannot be read .*; remove the folder"):
        first_stage.retrieve(words, 10, progress=False)


def test_a_model_that_gives_no_numbers_is_refused(dense_model: Path, words: Collection, cache: Path) -> None:
    broken = cache.with_name("broken")
    broken.mkdir()
    for path in dense_model.iterdir():
        (broken / path.name).symlink_to(path)
    weights = load_file(dense_model / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][:] = 3e38  # overflows behind it
    (broken / "model.safetensors").unlink()
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="gives NaN or infinity"):
        Dense(str(broken)).retrieve(words, 10, progress=False)
