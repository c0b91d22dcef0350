"""What this machine does in a second with the teacher, the student and a ready re-ranker, tried on the collection."""

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from limbeck.collections import Collection
from limbeck.distil.budget import LIST_SIZE, LISTS_PER_STEP
from limbeck.evaluation import rerank
from limbeck.lists import Sample, lists_from_scored_run
from limbeck.models.bi_encoder import BiEncoder
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.runs import Run
from limbeck.training import Backbone, Settings, Stage, TrainingPlan, train
from limbeck.training.log import read_log

SECONDS = 3.0
"""A rate is measured over so long a time at least, where there are texts enough."""

FEWEST, MOST = 32, 4096
"""Documents, or pairs, of the first and of the last try."""


def embedding_rate(teacher: BiEncoder, collection: Collection, run: Run) -> float:
    """Documents that the teacher embeds in a second, of a run's candidates as they come."""
    docids = dict.fromkeys(
        docid for ranking in run.values() for docid in ranking.docids if docid in collection.documents
    )
    texts = [collection.documents[docid] for docid in islice(docids, MOST)]
    return _rate(lambda count: len(teacher.encode(texts[:count])), len(texts))


def scoring_rate(encoder: CrossEncoder, collection: Collection, run: Run, depth: int) -> float:
    """Pairs that a cross-encoder scores in a second, of whole queries with their first `depth` candidates."""
    queries = [query_id for query_id in collection.query_ids if query_id in run]

    def score(pairs: int) -> int:
        some = {query_id: run[query_id] for query_id in queries[: max(1, pairs // depth)]}
        return sum(map(len, rerank(encoder, collection, Run("rate", some), depth).values()))

    return _rate(score, depth * len(queries))


def training_rate(backbone: Backbone, collection: Collection, run: Run) -> float:
    """Pairs that a student is trained on in a second: a few steps, for the first stage's scores."""
    lists = lists_from_scored_run(collection, run.cut(4 * LIST_SIZE))

    def steps(count: int) -> tuple[int, float]:
        stage = Stage(
            objective=parse("MarginMSE"), lists=lists, sample=Sample(size=LIST_SIZE), steps=count,
            lists_per_step=LISTS_PER_STEP, learning_rate=1e-6,
        )  # fmt: skip
        plan = TrainingPlan(backbone=backbone, stages=(stage,), collection=collection, seed=1, settings=Settings())
        with TemporaryDirectory(prefix="limbeck-rate-") as folder:
            train(plan, Path(folder))
            done = [record for record in read_log(Path(folder) / "log.jsonl") if record["kind"] == "step"]
        # Of steps alone: to load the model, and to count words for one that matches them, is done once.
        return sum(record["pairs"] for record in done), sum(record["seconds"] for record in done)

    steps(1)  # what is tokenised, and what memory is had, is kept
    count, (pairs, seconds) = 4, steps(4)
    while seconds < SECONDS and count < 64:
        count *= 2
        pairs, seconds = steps(count)
    return pairs / seconds


def _rate(work: Callable[[int], int], most: int) -> float:
    """How many a second: `work` does about as many as it is asked for, at most `most`, and returns how many it did."""
    count = min(FEWEST, most)
    work(count)  # what is tokenised, and what memory is had, is kept
    while True:
        began = time.perf_counter()
        done = work(count)
        seconds = time.perf_counter() - began
        if seconds >= SECONDS or count == most or count >= MOST:
            return done / seconds
        count = min(most, MOST, count * 4)
