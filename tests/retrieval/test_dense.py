import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.models.bi_encoder import BiEncoder
from limbeck.retrieval import Dense
from limbeck.retrieval.dense import near_the_best
from limbeck.runs import Run, rank

pytestmark = pytest.mark.usefixtures("cache", "small_parts")


@pytest.mark.parametrize("depth", [3, 100])
@pytest.mark.parametrize("similarity", ["cosine", "dot", None])
def test_the_run_is_that_of_every_query_against_every_document(
    words: Collection, dense_model: Path, similarity: str | None, depth: int
) -> None:
    encoder = BiEncoder.load(dense_model)
    docids, texts = list(words.documents), [words.queries[query_id] for query_id in words.query_ids]
    normalise = similarity == "cosine"  # the checkpoint names dot
    queries = encoder.encode(texts, normalise=normalise).astype(np.float64)
    documents = encoder.encode(list(words.documents.values()), normalise=normalise).astype(np.float64)
    run = Dense(str(dense_model), similarity).retrieve(words, depth, progress=False)
    assert list(run) == list(words.query_ids)
    for query_id, scores in zip(words.query_ids, queries @ documents.T, strict=True):
        expected = rank(docids, scores).cut(depth)
        np.testing.assert_allclose(run[query_id].scores, expected.scores, rtol=1e-5, atol=1e-6)
        assert len(run[query_id]) == min(depth, 40)


def test_scores_are_those_of_the_bi_encoder_as_a_teacher(words: Collection, dense_model: Path) -> None:
    run = Dense(str(dense_model), "cosine").retrieve(words, 100, progress=False)
    taught = BiEncoder.load(dense_model).score(words, run, progress=False)
    for query_id, ranking in run.items():
        np.testing.assert_allclose(ranking.scores, taught[query_id], atol=1e-6)


def test_equal_documents_tie_and_are_cut_by_docid(words: Collection, dense_model: Path) -> None:
    whole = Dense(str(dense_model)).retrieve(words, 100, progress=False)
    for ranking in whole.values():
        scores = dict(zip(ranking.docids, ranking.scores, strict=True))
        assert scores["d37"] == scores["d39"]
    for depth in range(1, 12):
        assert Dense(str(dense_model)).retrieve(words, depth, progress=False) == whole.cut(depth)


@pytest.mark.parametrize("part", [7, 40])
def test_a_query_s_own_document_is_left_out_where_the_collection_says_so(
    words: Collection, dense_model: Path, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbeck.retrieval.search.PART", part)
    whole = Dense(str(dense_model)).retrieve(words, 100, progress=False)
    without = tuple(docid for docid in whole["d3"].docids if docid != "d3")
    assert len(without) == len(whole["d3"]) - 1
    for depth in (1, 2, 3, 7, 20, 39):
        dropped = Dense(str(dense_model)).retrieve(replace(words, drop_query_document=True), depth, progress=False)
        assert dropped["q0"] == whole["q0"].cut(depth)
        assert dropped["d3"].docids == without[:depth]


def test_documents_too_near_for_float32_products_are_all_compared_exactly() -> None:
    draw = np.random.default_rng(0)
    queries = draw.normal(size=(5, 64)).astype(np.float32)
    documents = (draw.normal(size=64) + 1e-6 * draw.normal(size=(3000, 64))).astype(np.float32)
    exact = queries.astype(np.float64) @ documents.astype(np.float64).T
    floor = np.full(5, -np.inf, np.float32)
    found = dict(near_the_best(queries, documents, floor, 10))
    for query in range(5):
        assert set(np.argsort(-exact[query])[:10]) <= set(found[query].tolist())
    best = np.sort(exact, axis=1)[:, -10].astype(np.float32)
    for query, columns in near_the_best(queries, documents, best, 10):
        assert set(np.flatnonzero(exact[query] >= best[query])) <= set(columns.tolist())


def test_far_documents_are_not_compared_exactly() -> None:
    draw = np.random.default_rng(0)
    queries, documents = draw.normal(size=(2, 64)).astype(np.float32), draw.normal(size=(3000, 64)).astype(np.float32)
    assert all(
        len(columns) == 10 for _, columns in near_the_best(queries, documents, np.full(2, -np.inf, np.float32), 10)
    )
    assert list(near_the_best(queries, documents, np.full(2, 1e9, np.float32), 10)) == []


def test_another_similarity_is_refused(words: Collection, dense_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no similarity "manhattan"; expected cosine or dot'):
        Dense("any", "manhattan")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in dense_model.iterdir():
        (copy / path.name).symlink_to(path)
    (copy / "config_sentence_transformers.json").unlink()
    (copy / "config_sentence_transformers.json").write_text('{"similarity_fn_name": "euclidean"}')
    with pytest.raises(UsageError, match="names the similarity euclidean"):
        Dense(str(copy)).retrieve(words, progress=False)
    assert isinstance(Dense(str(copy), "dot").retrieve(words, progress=False), Run)


def test_documents_that_are_cut_are_said_when_progress_is(
    words: Collection, dense_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Dense(str(dense_model), max_length=3).retrieve(words, 5)
    assert re.search(r"dense, 3 tokens: of \d+ texts encoded, \d+ were cut at their end", capfd.readouterr().err)
