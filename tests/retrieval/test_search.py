"""Search part by part is every query against every document, with the best kept."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from limbeck.collections import Collection
from limbeck.models.bi_encoder import products
from limbeck.retrieval.dense import near_the_best
from limbeck.retrieval.search import Floats, Hits, search
from limbeck.retrieval.splade import compare_terms
from limbeck.runs import Run, rank

DRAW = np.random.default_rng(0)
DOCUMENTS = (DRAW.random((50, 20)) * (DRAW.random((50, 20)) > 0.7)).astype(np.float32)
DOCUMENTS[7] = DOCUMENTS[33]
QUERIES = (DRAW.random((6, 20)) * (DRAW.random((6, 20)) > 0.6)).astype(np.float32)
COLLECTION = Collection(
    "c", {f"d{n}": "" for n in range(50)}, {f"q{n}": "" for n in range(6)}, {}, tuple(f"q{n}" for n in range(6))
)
PART = 8


def sparse(depth: int) -> Run:
    queries = [csr_array(QUERIES[:4]), csr_array(QUERIES[4:])]
    documents = [csr_array(DOCUMENTS[start : start + PART]).T.tocsr() for start in range(0, 50, PART)]
    return search("sparse", COLLECTION, queries, documents, PART, compare_terms, depth, progress=False)


def dense(depth: int) -> Run:
    def compare(queries: Floats, documents: Floats, floor: Floats) -> Hits:
        for query, columns in near_the_best(queries, documents, floor, depth):
            yield query, columns, products(documents[columns], queries[query]).astype(np.float32)

    documents = [DOCUMENTS[start : start + PART] for start in range(0, 50, PART)]
    return search("dense", COLLECTION, [QUERIES[:4], QUERIES[4:]], documents, PART, compare, depth, progress=False)


@pytest.mark.parametrize("depth", [1, 3, 10, 100])
@pytest.mark.parametrize("first_stage", [sparse, dense])
def test_the_best_of_all_parts_are_found(first_stage, depth):
    run = first_stage(depth)
    for query, scores in zip(COLLECTION.query_ids, QUERIES.astype(np.float64) @ DOCUMENTS.T, strict=True):
        found = np.flatnonzero(scores > 0) if first_stage is sparse else np.arange(50)
        expected = rank([f"d{n}" for n in found], scores[found].astype(np.float32)).cut(depth)
        np.testing.assert_allclose(run[query].scores, expected.scores, rtol=1e-6)


@pytest.mark.parametrize("first_stage", [sparse, dense])
def test_equal_documents_of_different_parts_tie_and_are_cut_by_docid(first_stage):
    whole = first_stage(100)
    for ranking in whole.values():
        scores = dict(zip(ranking.docids, ranking.scores, strict=True))
        assert scores.get("d7") == scores.get("d33")
    assert any("d7" in ranking.docids for ranking in whole.values())
    for depth in range(1, 50):
        assert first_stage(depth) == whole.cut(depth)
