"""limbeck's side of a benchmark: `python limbeck_job.py JOB.json` prints what it measured as one line of JSON."""

import tempfile
import time
from pathlib import Path

import numpy as np
from job import Job, report

from limbeck.collections import Collection
from limbeck.lists import Lists
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.objectives import parse
from limbeck.training import Backbone, Settings, Stage, TrainingPlan, train
from limbeck.training.log import read_log


def rerank(job: Job) -> None:
    """Score all pairs `job.rounds` times."""
    encoder = CrossEncoder.load(job.model, max_length=job.max_length)
    pairs = [(row.query, passage) for row in job.rows for passage in row.passages]
    encoder.score(pairs[:64], job.precision)
    seconds = []
    for _ in range(job.rounds):
        began = time.perf_counter()
        encoder.score(pairs, job.precision)
        seconds.append(time.perf_counter() - began)
    report(len(pairs), seconds)


def training(job: Job) -> None:
    """Train `job.rounds` steps, and two before that are not counted."""
    documents = {f"d{q}-{d}": text for q, row in enumerate(job.rows) for d, text in enumerate(row.passages)}
    queries = {f"q{q}": row.query for q, row in enumerate(job.rows)}
    lists = Lists(
        list(queries),
        [[f"d{q}-{d}" for d in range(len(row.passages))] for q, row in enumerate(job.rows)],
        teacher_scores=[np.asarray(row.scores, np.float32) for row in job.rows],
        teacher_order=[np.arange(len(row.scores), 0, -1, dtype=np.float32) for row in job.rows],
    )
    stage = Stage(
        objective=parse(job.objective),
        lists=lists,
        steps=job.rounds + 2,
        lists_per_step=job.lists_per_step,
        learning_rate=1e-5,
    )
    plan = TrainingPlan(
        backbone=Backbone(model=job.model, max_length=job.max_length, dropout=job.dropout),
        stages=(stage,),
        collection=Collection("benchmark", documents, queries, {}, tuple(queries)),
        settings=Settings(precision=job.precision, checkpoint_every=10**9),
    )
    with tempfile.TemporaryDirectory() as folder:
        train(plan, Path(folder))
        steps = read_log(Path(folder) / "log.jsonl")[2:]
    report(steps[0]["pairs"], [step["seconds"] for step in steps])


if __name__ == "__main__":
    job = Job.read()
    {"rerank": rerank, "training": training}[job.work](job)
