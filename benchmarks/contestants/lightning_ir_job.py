"""Lightning IR's side of a benchmark: a mono cross-encoder in Lightning's own trainer, and its `score`."""

import time
import warnings

import lightning
import torch
from job import Job, between, report
from lightning_ir import CrossEncoderModule
from lightning_ir.data import TrainBatch
from lightning_ir.loss import ApproxRankMSE, RankNet
from lightning_ir.models import MonoConfig
from torch.utils.data import DataLoader

BATCH = 32  # pairs that are scored at once, as in sentence-transformers' default


def load(job: Job) -> CrossEncoderModule:
    """The backbone with a head of its own; query and passage are cut each, to the same longest pair as the others'."""
    config = MonoConfig(query_length=32, doc_length=job.max_length - 35, scoring_strategy="mono")
    if job.dropout is not None:
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = job.dropout
    loss = {"RankNet": RankNet, "ADR-MSE": ApproxRankMSE}[job.objective]()
    return CrossEncoderModule(job.model, config=config, loss_functions=[loss])


def rerank(job: Job) -> None:
    """Score all pairs `job.rounds` times, query by query in batches of 32."""
    module = load(job).eval()
    seconds = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bf16"):
        for _ in range(job.rounds + 1):
            began = time.perf_counter()
            for row in job.rows:
                for start in range(0, len(row.passages), BATCH):
                    module.score(row.query, row.passages[start : start + BATCH])
            seconds.append(time.perf_counter() - began)
    report(sum(len(row.passages) for row in job.rows), seconds[1:])


class Clock(lightning.Callback):
    """Notes when each optimiser step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: object, **__: object) -> None:
        """Called by the trainer."""
        self.ends.append(time.perf_counter())


def training(job: Job) -> None:
    """Train `job.rounds` steps, and two before that are not counted."""
    rows = [job.rows[i % len(job.rows)] for i in range((job.rounds + 2) * job.lists_per_step)]
    batches = []
    for start in range(0, len(rows), job.lists_per_step):
        part = rows[start : start + job.lists_per_step]
        targets = torch.tensor([row.scores for row in part])
        queries, docs = [row.query for row in part], [row.passages for row in part]
        query_ids, doc_ids = [str(q) for q in range(len(part))], [[str(d) for d in range(len(d))] for d in docs]
        batches.append(TrainBatch(queries, docs, query_ids, doc_ids, None, targets))
    module, clock = load(job), Clock()
    module.set_optimizer(torch.optim.AdamW, lr=1e-5)
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=job.rounds + 2, callbacks=[clock], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, gradient_clip_val=1.0,
        precision="bf16-mixed" if job.precision == "bf16" else "32-true",
    )  # fmt: skip
    trainer.fit(module, DataLoader(batches, batch_size=None, shuffle=False))
    pairs = job.lists_per_step * len(job.rows[0].passages)
    report(pairs, between(clock.ends))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    job = Job.read()
    {"rerank": rerank, "training": training}[job.work](job)
