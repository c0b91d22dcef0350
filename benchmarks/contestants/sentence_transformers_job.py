"""sentence-transformers' side of a benchmark: CrossEncoderTrainer and CrossEncoder.predict, as in its manual."""

import tempfile
import time

import torch
from datasets import Dataset
from job import Job, between, report
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import ADRMSELoss, RankNetLoss
from transformers import TrainerCallback


def load(job: Job) -> CrossEncoder:
    """The model on the CPU, with raw scores."""
    changes = {}
    if job.dropout is not None:
        changes = {"hidden_dropout_prob": job.dropout, "attention_probs_dropout_prob": job.dropout}
    return CrossEncoder(
        job.model,
        num_labels=1,
        max_length=job.max_length,
        device="cpu",
        activation_fn=torch.nn.Identity(),
        config_kwargs=changes or None,
    )


def rerank(job: Job) -> None:
    """Predict all pairs `job.rounds` times, in batches of 32 as by default."""
    model = load(job)
    pairs = [(row.query, passage) for row in job.rows for passage in row.passages]
    seconds = []
    with torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bf16"):
        model.predict(pairs[:64], show_progress_bar=False)
        for _ in range(job.rounds):
            began = time.perf_counter()
            model.predict(pairs, show_progress_bar=False)
            seconds.append(time.perf_counter() - began)
    report(len(pairs), seconds)


class Clock(TrainerCallback):
    """Notes when each optimiser step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        """Called by the trainer."""
        self.ends.append(time.perf_counter())


def training(job: Job) -> None:
    """Train `job.rounds` steps, and two before that are not counted."""
    rows = [job.rows[i % len(job.rows)] for i in range((job.rounds + 2) * job.lists_per_step)]
    data = Dataset.from_dict(
        {
            "query": [row.query for row in rows],
            "docs": [row.passages for row in rows],
            "labels": [row.scores for row in rows],
        }
    )
    model, clock = load(job), Clock()
    loss = {"RankNet": RankNetLoss, "ADR-MSE": ADRMSELoss}[job.objective](model, mini_batch_size=job.mini_batch_size)
    with tempfile.TemporaryDirectory() as folder:
        arguments = CrossEncoderTrainingArguments(
            output_dir=folder, max_steps=job.rounds + 2, per_device_train_batch_size=job.lists_per_step,
            learning_rate=1e-5, bf16=job.precision == "bf16", use_cpu=True, save_strategy="no", report_to="none",
            disable_tqdm=True, logging_strategy="no",
        )  # fmt: skip
        CrossEncoderTrainer(model=model, args=arguments, train_dataset=data, loss=loss, callbacks=[clock]).train()
    pairs = job.lists_per_step * len(job.rows[0].passages)
    report(pairs, between(clock.ends))


if __name__ == "__main__":
    job = Job.read()
    {"rerank": rerank, "training": training}[job.work](job)
