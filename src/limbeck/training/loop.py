"""The training loop: from a plan to a finished folder, resumable at any moment."""

import dataclasses
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from limbeck.encoder import CrossEncoder, collection_pairs
from limbeck.encoder.aside import remove_left, writing, written_aside
from limbeck.errors import DataError, UsageError
from limbeck.evaluation import measure_run, rerank
from limbeck.training.batch import assemble
from limbeck.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from limbeck.training.log import TrainingLog
from limbeck.training.plan import TrainingPlan, Validation
from limbeck.training.progress import StepProgress
from limbeck.training.schedule import learning_rate
from limbeck.training.step import Work, backward
from limbeck.training.summary import summarise
from limbeck.training.watch import COLLAPSED_SPREAD, check_finite, check_spread, spread


def train(
    plan: TrainingPlan, output: Path, console: Console | None = None, beginnings: Mapping[int, Path] | None = None
) -> dict[str, Any]:
    """Train as planned into `output`, and return the summary that is also written there.

    `output` gets `model/` (the best validated weights, or the last ones without validation), `summary.json`,
    `log.jsonl`, `plan.json`, and while training runs `checkpoints/`. The same call again resumes, or returns the
    summary of a finished training at once. On one CPU process a resumed training ends with the same bytes.

    Args:
        beginnings: number of stages → folder for the state after so many, for trainings that begin alike: this one goes
            on from what another left there, and leaves there what it reaches itself. It ends with the same bytes as
            without; whoever names the folders sees to it that their trainings begin alike.

    Raises:
        UsageError: `output` belongs to another plan.
        TrainingStopped: non-finite or collapsed numbers.
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    output.mkdir(parents=True, exist_ok=True)
    _claim(output, plan)
    if (output / "summary.json").exists():
        shutil.rmtree(output / "checkpoints", ignore_errors=True)  # of a process killed at its very end
        return json.loads((output / "summary.json").read_text())  # type: ignore[no-any-return]
    with torch.random.fork_rng():
        return _Training(plan, output, console or Console(quiet=True), beginnings or {}).run()


@dataclass
class _State:
    """What a checkpoint holds beside tensors."""

    step: int = 0  # optimiser steps done
    validation_due: bool = False
    best_step: int = 0
    best_value: float | None = None
    collapsed_steps: int = 0
    seconds: float = 0.0
    single_pass_steps: int = 0
    cut_pairs: int = 0
    stages: list[dict[str, int]] = field(default_factory=list)  # pairs, tokens, computed_tokens of each stage


class _Training:
    def __init__(self, plan: TrainingPlan, output: Path, console: Console, beginnings: Mapping[int, Path]) -> None:
        self.plan, self.output, self.console, self.beginnings = plan, output, console, beginnings
        self.ends = {plan.beginning(number + 1).steps: number + 1 for number in range(len(plan.stages))}
        backbone = plan.backbone
        self.encoder = CrossEncoder.load(
            backbone.model,
            layers=backbone.layers,
            max_length=backbone.max_length,
            query_tokens=backbone.query_tokens,
            seed=plan.seed,
            dropout=backbone.dropout,
            sha256=backbone.sha256,
        )
        self.pairs = collection_pairs(self.encoder, plan.collection)
        self.samplers = [stage.sampler(plan.seed, number) for number, stage in enumerate(plan.stages)]
        self.weights = dict(self.encoder.model.named_parameters())
        self.state = _State(stages=[{"pairs": 0, "tokens": 0, "computed_tokens": 0} for _ in plan.stages])
        self.best: dict[str, torch.Tensor] = {}
        self.optimizer = self._new_optimizer()
        self.stopping = self.validating = False

    def run(self) -> dict[str, Any]:
        self._resume()
        self.log = TrainingLog(self.output / "log.jsonl", self.state.step, self.state.validation_due)
        self.started = time.monotonic() - self.state.seconds
        self.encoder.model.train()
        try:
            with self._signals(), StepProgress(self.console, self.plan.steps, self.state.step) as progress:
                if self.state.validation_due:
                    self._validate()
                while self.state.step < self.plan.steps:
                    self._step(progress)
                    if self.state.validation_due:
                        self._validate()
                    self._checkpoint_if_due()
        finally:
            self.log.close()
        return self._finish()

    def _step(self, progress: StepProgress) -> None:
        began = time.monotonic()
        number, inner = self.plan.place(self.state.step)
        stage, settings = self.plan.stages[number], self.plan.settings
        if inner == 0:
            self.optimizer = self._new_optimizer()
        rate = learning_rate(stage.learning_rate, inner, stage.steps, settings.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        drawn = self.samplers[number](inner)
        batch = assemble(self.pairs, stage.lists, drawn, stage.objective.signals)
        device = self.encoder.device
        targets = {signal: target.to(device) for signal, target in batch.targets.items()}
        mask = batch.mask.to(device)
        work = backward(
            self.encoder,
            self.pairs,
            batch.query_rows,
            batch.passage_rows,
            lambda scores: stage.objective(batch.matrix(scores), targets, mask),
            seed=(self.plan.seed, number, inner),
            precision=settings.precision,
            token_budget=settings.token_budget,
            single_pass_tokens=settings.single_pass_tokens,
        )
        norm = float(torch.nn.utils.clip_grad_norm_(self.weights.values(), settings.clip or float("inf")))
        check_finite(self.state.step + 1, work.loss, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        self.state.cut_pairs += self.pairs.cuts(batch.query_rows, batch.passage_rows)
        self._count(number, work)
        collapsed = mask.shape[1] > 1 and spread(batch.matrix(work.scores), mask) < COLLAPSED_SPREAD
        self.state.collapsed_steps = self.state.collapsed_steps + 1 if collapsed else 0
        check_spread(self.state.step, self.state.collapsed_steps)
        self.state.validation_due = self._validation_follows()
        self._log_step(number, work, rate, norm, time.monotonic() - began)
        progress.advance(work, rate)

    def _count(self, stage: int, work: Work) -> None:
        totals = self.state.stages[stage]
        totals["pairs"] += work.pairs
        totals["tokens"] += work.tokens
        totals["computed_tokens"] += work.computed_tokens
        self.state.single_pass_steps += work.single_pass

    def _log_step(self, stage: int, work: Work, rate: float, norm: float, seconds: float) -> None:
        self.log.write(
            kind="step",
            step=self.state.step,
            stage=stage + 1,
            loss=work.loss,
            learning_rate=rate,
            gradient_norm=norm,
            pairs=work.pairs,
            tokens=work.tokens,
            padding=1 - work.tokens / work.computed_tokens,
            micro_batches=work.micro_batches,
            seconds=round(seconds, 4),
            pairs_per_second=round(work.pairs / seconds, 2),
            tokens_per_second=round(work.tokens / seconds, 1),
        )

    def _validation_follows(self) -> bool:
        validation, step = self.plan.validation, self.state.step
        return validation is not None and (step % validation.every == 0 or step in self.ends)

    def _validate(self) -> None:
        assert self.plan.validation is not None
        self.validating = True
        try:
            values = self._validation_values(self.plan.validation)
        except KeyboardInterrupt:
            self.validating = False  # a second Ctrl-C is not to break off the checkpoint
            self._checkpoint()
            raise
        finally:
            self.validating = False
        value = sum(values.values()) / len(values)
        best = self.state.best_value is None or value > self.state.best_value
        if best:
            self.state.best_step, self.state.best_value = self.state.step, value
            self.best = {name: tensor.detach().clone() for name, tensor in self.encoder.model.state_dict().items()}
        self.state.validation_due = False
        measure = self.plan.validation.measure
        self.log.write(kind="validation", step=self.state.step, measure=measure, value=value, values=values, best=best)
        self.console.print(
            f"  step {self.state.step}: validation {measure} {value:.4f}{' (best)' if best else ''}", highlight=False
        )

    def _validation_values(self, validation: Validation) -> dict[str, float]:
        values = {}
        for collection, run in validation.sets:
            ranked = rerank(self.encoder, collection, run, validation.depth, self.plan.settings.precision)
            values[collection.name] = measure_run(collection, ranked, [validation.measure]).mean(validation.measure)
        return values

    def _new_optimizer(self) -> torch.optim.AdamW:
        return torch.optim.AdamW(
            self.weights.values(), lr=0.0, weight_decay=self.plan.settings.weight_decay, eps=1e-8, fused=True
        )

    def _checkpoint_if_due(self) -> None:
        if self.stopping:
            self._checkpoint()
            raise KeyboardInterrupt
        self._leave_beginning()
        if self.state.step % self.plan.settings.checkpoint_every == 0 and self.state.step < self.plan.steps:
            self._checkpoint()

    def _leave_beginning(self) -> None:
        """At the end of a stage, leave the state where trainings that begin alike look for it."""
        folder = self.beginnings.get(self.ends.get(self.state.step, 0))
        if folder is not None and not folder.exists():
            with writing(folder), written_aside(folder) as aside:
                shutil.copyfile(self.output / "log.jsonl", aside / "log.jsonl")
                self._checkpoint(aside)
                with suppress(OSError):  # another process was faster; what it left is the same
                    os.replace(aside, folder)

    def _checkpoint(self, folder: Path | None = None) -> None:
        self.log.sync()
        self.state.seconds = time.monotonic() - self.started
        moments = {
            f"{key}/{name}": value
            for name, weight in self.weights.items()
            for key, value in self.optimizer.state.get(weight, {}).items()
        }
        tensors = {"weights": self.encoder.model.state_dict(), "optimizer": moments, "best": self.best}
        filled = {group: content for group, content in tensors.items() if content}
        state = Checkpoint(filled, dataclasses.asdict(self.state))
        save_checkpoint(folder or self.output / "checkpoints", self.state.step, state)

    def _resume(self) -> None:
        checkpoint, damaged = load_checkpoint(self.output / "checkpoints", self.encoder.device)
        for number in sorted(self.beginnings, reverse=True):
            folder = self.beginnings[number]
            if checkpoint is None and folder.exists():
                checkpoint, more = load_checkpoint(folder, self.encoder.device)
                damaged += more
                if checkpoint is None:
                    shutil.rmtree(folder)  # so that it is left anew
                else:
                    shutil.copyfile(folder / "log.jsonl", self.output / "log.jsonl")
        further = "from the one before it" if checkpoint else "anew, as there is none before it"
        for text in damaged:
            self.console.print(f"[yellow]{text}; going on {further}[/]")
        if checkpoint is None:
            return
        unseen = self.state.stages[len(checkpoint.state["stages"]) :]
        self.state = _State(**checkpoint.state)
        self.state.stages = self.state.stages[: len(self.plan.stages)] + unseen
        self.encoder.model.load_state_dict(checkpoint.tensors["weights"])
        self.best = dict(checkpoint.tensors.get("best", {}))
        for path, value in checkpoint.tensors.get("optimizer", {}).items():
            key, _, name = path.partition("/")
            self.optimizer.state[self.weights[name]][key] = value
        self.console.print(f"  resumed at step {self.state.step} of {self.plan.steps}", highlight=False)

    def _finish(self) -> dict[str, Any]:
        if self.best:
            self.encoder.model.load_state_dict(self.best)
        self.encoder.model.eval()
        remove_left(self.output / "model")
        self.encoder.save(self.output / "model")
        seconds = round(time.monotonic() - self.started, 2)
        summary = summarise(self.plan, self.encoder, self.samplers, dataclasses.asdict(self.state), seconds)
        _write_json(self.output / "summary.json", summary)
        shutil.rmtree(self.output / "checkpoints", ignore_errors=True)
        return summary

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM: finish the step, or break off a validation, then write a checkpoint and leave."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(*_: object) -> None:
            self.stopping = True
            if self.validating:
                raise KeyboardInterrupt

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _claim(output: Path, plan: TrainingPlan) -> None:
    """Write the plan down, or refuse a folder that another plan has begun."""
    path, described = output / "plan.json", json.loads(json.dumps(plan.describe()))
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except ValueError as error:
            raise DataError(f"{path}: not JSON ({error}); remove {output} to train anew") from error
        if not isinstance(found, dict):
            raise DataError(f"{path}: not a JSON object; remove {output} to train anew")
        different = [key for key in described if found.get(key) != described[key]]
        if different:
            raise UsageError(
                f"{output} holds a training with other {', '.join(different)}; "
                "give another --output, or remove that folder to train anew"
            )
    elif any(output.glob("checkpoints/*")) or (output / "model").exists():
        raise UsageError(f"{output} is not empty and has no plan.json; give another --output")
    else:
        _write_json(path, described)


def _write_json(path: Path, value: Any) -> None:
    aside = path.with_name(f".{path.name}")
    with writing(path), aside.open("w") as file:
        file.write(json.dumps(value, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
        os.replace(aside, path)
