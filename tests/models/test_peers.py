"""At home in the field: a model inside PyTerrier's and mteb's own experiments gives the numbers that limbeck gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.evaluation import measure_run, rerank
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run

DOCUMENTS = {
    "d1": "the alembic boils and the copper glows",
    "d2": "ether drips into a flask of glass, slowly",
    "d3": "nobody knows",
    "d4": "a distiller's receiver collects what condenses in the worm",
}
QUERIES = {"q1": "who heats the still", "q2": "what does the receiver collect", "q3": "ether"}
QRELS = {"q1": {"d1": 1, "d3": 1}, "q2": {"d4": 1}, "q3": {"d2": 1, "d1": 1}}


@pytest.fixture
def encoder(family_folder: Callable[[str], Path]) -> CrossEncoder:
    return CrossEncoder.load(family_folder("bert"), device="cpu")


@pytest.fixture
def collection() -> Collection:
    return Collection("small", DOCUMENTS, QUERIES, QRELS, tuple(QUERIES))


def test_a_pyterrier_experiment_measures_what_limbeck_measures(encoder: CrossEncoder, collection: Collection) -> None:
    pt = pytest.importorskip("pyterrier")
    import pandas as pd
    from ir_measures import RR, nDCG

    first = Run.from_scores("first", {q: {d: -float(rank) for rank, d in enumerate(DOCUMENTS)} for q in QUERIES})
    rows = [(q, text, d, -rank, rank, DOCUMENTS[d]) for q, text in QUERIES.items() for rank, d in enumerate(DOCUMENTS)]
    frame = pd.DataFrame(rows, columns=["qid", "query", "docno", "score", "rank", "text"])
    pipeline = pt.Transformer.from_df(frame) >> encoder.as_pyterrier_transformer()
    topics = pd.DataFrame(QUERIES.items(), columns=["qid", "query"])
    qrels = [(q, d, label) for q, grades in QRELS.items() for d, label in grades.items()]
    found = pt.Experiment(
        [pipeline], topics, pd.DataFrame(qrels, columns=["qid", "docno", "label"]), [nDCG @ 10, RR @ 10]
    )
    own = measure_run(collection, rerank(encoder, collection, first, 4), ["nDCG@10", "RR@10"])
    assert found["nDCG@10"][0] == pytest.approx(own.mean("nDCG@10"))
    assert found["RR@10"][0] == pytest.approx(own.mean("RR@10"))
    step = encoder.as_pyterrier_transformer()
    assert set(step(frame.head(0)).columns) >= {"score", "rank"}
    with pytest.raises(DataError, match="d1: no text"):
        step(frame.assign(text=None))


def test_mteb_evaluates_a_saved_model_offline(encoder: CrossEncoder, collection: Collection, tmp_path: Path) -> None:
    mteb: Any = pytest.importorskip("mteb")
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.abstasks.task_metadata import TaskMetadata
    from sentence_transformers import CrossEncoder as Peer

    class Small(AbsTaskRetrieval):  # type: ignore[misc]
        metadata = TaskMetadata(
            name="Small", description="Three queries.", reference=None, dataset={"path": "none", "revision": "1"},
            type="Reranking", category="t2t", modalities=["text"], eval_splits=["test"], eval_langs=["eng-Latn"],
            main_score="ndcg_at_10", date=None, domains=None, task_subtypes=None, license=None,
            annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation=None,
        )  # fmt: skip

        def load_data(self, *_: Any, **__: Any) -> None:
            split = RetrievalSplitData(
                corpus=Dataset.from_list([{"id": d, "text": text, "title": ""} for d, text in DOCUMENTS.items()]),
                queries=Dataset.from_list([{"id": q, "text": text} for q, text in QUERIES.items()]),
                relevant_docs=QRELS,
                top_ranked={q: list(DOCUMENTS) for q in QUERIES},
            )
            self.dataset, self.data_loaded = {"default": {"test": split}}, True

    encoder.save(tmp_path / "model")
    task = Small()
    found = mteb.evaluate(
        Peer(str(tmp_path / "model"), device="cpu"), task, cache=None, co2_tracker=False, show_progress_bar=False
    )
    first = Run.from_scores("first", {q: dict.fromkeys(DOCUMENTS, 0.0) for q in QUERIES})
    own = measure_run(collection, rerank(encoder, collection, first, 4), ["nDCG@10"])
    assert found.task_results[0].get_score() == pytest.approx(own.mean("nDCG@10"), abs=1e-4)
