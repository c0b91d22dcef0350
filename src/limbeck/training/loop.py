"""The training loop: from a plan to a finished folder, resumable at any moment."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from limbeck.core.devices import ALONE, Processes, ahead, default_device, deterministic, fork_rng
from limbeck.core.files import check_fence, temporary_folder, wrap_write_errors, write_json
from limbeck.core.progress import say
from limbeck.evaluation import measure_run, rerank
from limbeck.models.checkpoint import expect_replaceable
from limbeck.models.cost import flops_by_length, product_rate
from limbeck.tokens.pairs import collection_pairs
from limbeck.training.checkpoint import (
    Checkpoint,
    check_output_dir,
    checkpoint_to_resume,
    claim_output_dir,
    hold_output_dir,
    save_checkpoint,
)
from limbeck.training.device import choose_budgets, choose_compiling
from limbeck.training.log import LogSink, StepProgress, TrainingLog
from limbeck.training.plan import TrainingPlan, Validation
from limbeck.training.state import State, Student, learning_rate, load_student, warmup_steps
from limbeck.training.step import AsyncScalars, PreparedStep, StepMetrics, backward, prepare_step, score_spread
from limbeck.training.stopping import DivergenceMonitor, SignalHandler, StepAbandoned
from limbeck.training.summary import SUMMARY, ExitSummary, finished, model_folders, summarise, weights_digest


def train(
    plan: TrainingPlan,
    output: Path,
    console: Console | None = None,
    prefixes: Mapping[int, Path] | None = None,
    processes: Processes = ALONE,
    sharded: bool = False,
    sinks: Sequence[LogSink] = (),
    halvings: int = 0,
) -> dict[str, Any]:
    """Train as planned into `output`, and return the summary that is also written there.

    `output` gets `model/` (the best validated weights, or the last ones without validation), `summary.json`,
    `log.jsonl`, `plan.json`, and while training runs `checkpoints/`. The same call again resumes, or returns the
    summary of a finished training at once. On one CPU process a resumed training ends with the same bytes.

    Several processes call this together, with the same arguments and an `output` that all of them see. Each computes
    its share of a step's pairs and ends with the gradient of all; the first one alone writes and prints. A training may
    be resumed by another number of processes, and then goes on in other random numbers.

    Args:
        prefixes: number of stages → folder for the state after so many, for trainings that begin alike: this one goes
            on from what another left there, and leaves there what it reaches itself. It ends with the same bytes as
            without; whoever names the folders sees to it that their trainings begin alike. For one process.
        sharded: whether weights, gradients and optimiser state are divided among the processes, for a backbone that
            does not fit one device.
        sinks: where records go beside `log.jsonl`, such as those of `limbeck.training.log`. A resumed training
            writes what follows its checkpoint again.
        halvings: how often `token_budget` and `max_tokens_without_grad_cache` are halved, for a device whose memory
            runs out with the plan's own. The training remains the plan's and ends the same but for rounding; where
            there is dropout, other elements are dropped.

    Raises:
        UsageError: `output` belongs to another plan, or another process is training there; or where the model, or that
            of an exit, is to be, there is something else than a model.
        DataError: the model of a finished training has been changed since, or a file of `output` is damaged.
        TrainingStopped: numbers that cannot come to anything.
        KeyboardInterrupt: on Ctrl-C or SIGTERM, after a checkpoint was written.
    """
    output.mkdir(parents=True, exist_ok=True)
    if console is None or not processes.is_first:
        console = Console(quiet=True)
    with hold_output_dir(output, plan) if processes.is_first else nullcontext():
        check_output_dir(output, plan)
        summary, gone = finished(output)
        if summary is not None:
            if processes.is_first:
                shutil.rmtree(output / "checkpoints", ignore_errors=True)  # of a process killed at its very end
            return summary
        for folder in model_folders(output, plan.backbone.exits):
            expect_replaceable(folder)
        if gone:
            say(console, gone, "yellow")
        for warning in dict.fromkeys(warning for stage in plan.stages for warning in stage.warnings):
            say(console, f"warning: {warning}", "yellow")
        with fork_rng(default_device()), deterministic(plan.settings.deterministic):
            training = _Training(
                plan=plan,
                output=output,
                console=console,
                prefixes=prefixes or {},
                processes=processes,
                sharded=sharded,
                sinks=sinks,
                halvings=halvings,
            )
            return training.run()


class _Training:
    def __init__(
        self,
        *,
        plan: TrainingPlan,
        output: Path,
        console: Console,
        prefixes: Mapping[int, Path],
        processes: Processes,
        sharded: bool,
        sinks: Sequence[LogSink],
        halvings: int,
    ) -> None:
        self.plan, self.output, self.console, self.prefixes = plan, output, console, prefixes
        self.processes, self.sinks = processes, tuple(sinks) if processes.is_first else ()
        self.ends = {plan.prefix(number + 1).steps: number + 1 for number in range(len(plan.stages))}
        self.encoder = load_student(plan, processes, sharded)
        self.pairs = collection_pairs(self.encoder, plan.collection)
        for collection, _ in plan.validation.sets if plan.validation else ():
            collection_pairs(self.encoder, collection)  # tokenised now, and not in the middle of training
        self.samplers = [stage.sampler(plan.seed, number) for number, stage in enumerate(plan.stages)]
        self.student = Student(plan, self.encoder)
        self.state = State.started(len(plan.stages))
        self.halvings = halvings
        self.precision = self.encoder.precision(plan.settings.precision)
        self.flops_by_length = flops_by_length(self.encoder.model)
        self.product_rate = product_rate(self.encoder.model, self.precision.name)
        self.taken: StepMetrics | None = None

    def run(self) -> dict[str, Any]:
        try:
            return self._run()
        finally:
            for sink in self.sinks:
                sink.close()
            if self.state.compiled:
                torch.compiler.reset()  # what was compiled for these layers; a process may train many models

    def _run(self) -> dict[str, Any]:
        self._resume()
        settings = self.plan.settings
        self.budgets = choose_budgets(self.encoder, settings, self.state, self.halvings, self.console)
        choose_compiling(
            self.encoder,
            self.plan,
            self.pairs,
            self.samplers,
            state=self.state,
            budgets=self.budgets,
            product_rate=self.product_rate,
            console=self.console,
        )
        path = self.encoder.attention(self.precision.name)
        say(self.console, f"  {path}, {self.precision.name}")
        if self.precision.note:
            say(self.console, f"  {self.precision.note}", "yellow")
        if self.processes.is_first:
            log = TrainingLog(self.output / "log.jsonl", self.state.step, self.state.validation_due)
            self.sinks = (log, *self.sinks)
        self.started = time.monotonic() - self.state.seconds
        self.encoder.model.train()
        progress = StepProgress(self.console, self.plan.steps, self.state.step)
        steps = range(self.state.step, self.plan.steps)
        with (
            SignalHandler(self._say_heard) as self.stop,
            progress as self.progress,
            closing(ahead(self._prepare, steps, self.encoder.device)) as self.prepared,
        ):
            if self.state.validation_due:
                self._validate()
            while self.state.step < self.plan.steps:
                self._step()
                if self.state.validation_due:
                    self._validate()
                self._checkpoint_if_due()
            self._settle()
        return self._finish()

    def _step(self) -> None:
        """One optimiser step: take what was drawn, score its pairs, back-propagate the loss, move the weights."""
        began = time.monotonic()
        number, inner = self.plan.place(self.state.step)
        stage, settings = self.plan.stages[number], self.plan.settings
        if inner == 0:
            self._begin_stage()
        prepared = next(self.prepared)
        batch = prepared.batch

        def loss_of(scores: torch.Tensor) -> torch.Tensor:
            exits = scores.view(len(scores), -1).unbind(1)  # the last is the whole model
            return torch.stack([stage.objective(batch.matrix(each), batch.targets, batch.mask) for each in exits]).sum()

        with self._abandoned_if_asked():
            result = backward(
                self.encoder,
                prepared.inputs,
                loss_of,
                seed=(self.plan.seed, number, inner),
                precision=self.precision.name,
                max_tokens_without_grad_cache=self.budgets.graphs,
            )
        rate = learning_rate(stage.learning_rate, inner, stage.steps, settings.warmup, settings.schedule)
        norm = self.student.update(rate, settings.clip)
        equal = loss_of(torch.zeros_like(result.scores))
        last = result.scores.view(len(result.scores), -1)[:, -1]
        readings = AsyncScalars([result.loss, equal, norm, score_spread(batch.matrix(last), batch.mask)])
        self._settle()  # the step before: its numbers have come while this one was computed
        self.state.count(number, result, prepared.cut_pairs)
        self.state.validation_due = self._validation_follows()
        self.taken = StepMetrics(
            step=self.state.step,
            stage=number + 1,
            work=result,
            rate=rate,
            warm=inner >= warmup_steps(stage.steps, settings.warmup),
            readings=readings,
            flops=float(self.flops_by_length(prepared.inputs.lengths).sum()),
            seconds=time.monotonic() - began,
        )

    def _prepare(self, step: int) -> PreparedStep:
        """What a step, from 0, trains on."""
        number, inner = self.plan.place(step)
        stage, drawn = self.plan.stages[number], self.samplers[number](inner)
        signals = stage.objective.signals
        return prepare_step(self.encoder, self.pairs, stage.lists, drawn, signals, self.budgets.micro_batch)

    def _begin_stage(self) -> None:
        self._settle()
        self.student.begin_stage()
        self.state.watch = DivergenceMonitor()

    @contextmanager
    def _abandoned_if_asked(self) -> Iterator[None]:
        """Whoever asks to stop need not wait for a long step: its gradients are dropped, and it is taken again later.

        Of several processes none may leave while the others wait for it: they stop together, behind the step.
        """
        try:
            with self.stop.may_break_off(self.processes.count == 1):
                yield
        except StepAbandoned:
            self._say_heard()
            self.encoder.model.zero_grad(set_to_none=True)
            self._checkpoint()
            raise KeyboardInterrupt from None

    def _say_heard(self) -> None:
        after = "" if self.processes.count == 1 else " behind this step"
        say(self.console, f"  asked to stop: writes a checkpoint{after}, then ends")

    def _settle(self) -> None:
        """Look at the numbers of the last step taken, log them and show them."""
        taken, self.taken = self.taken, None
        if taken is None:
            return
        loss, equal_loss, norm, score_spread = taken.readings.read()
        self.state.watch.update(taken.step, loss, equal_loss, norm, score_spread, taken.warm)
        if self.processes.is_first and taken.step == 1:
            claim_output_dir(self.output, self.plan)
        self._log(**taken.record(loss, equal_loss, norm, self.product_rate * self.processes.count))
        self.progress.advance(loss, taken.work.pairs, taken.rate)

    def _log(self, **record: Any) -> None:
        for sink in self.sinks:
            sink.write(record)

    def _validation_follows(self) -> bool:
        validation, step = self.plan.validation, self.state.step
        return validation is not None and (step % validation.every == 0 or step in self.ends)

    def _validate(self) -> None:
        assert self.plan.validation is not None
        self._settle()
        values = self._validation_values(self.plan.validation)
        value, best = self.state.judge(values, self.plan.validation.best_so_far)
        if best:
            self.student.keep_as_best()
        self.state.validation_due = False
        measure = self.plan.validation.measure
        self._log(kind="validation", step=self.state.step, measure=measure, value=value, values=values, best=best)
        say(self.console, f"  step {self.state.step}: validation {measure} {value:.4f}{' (best)' if best else ''}")

    def _validation_values(self, validation: Validation) -> dict[str, float]:
        values = {}
        for collection, run in validation.sets:
            precision, stop = self.plan.settings.precision, self._stop_if_asked
            ranked = rerank(self.encoder, collection, run, validation.depth, precision, between=stop)
            self._stop_if_asked()
            values[collection.name] = measure_run(collection, ranked, [validation.measure]).mean(validation.measure)
        return values

    def _stop_if_asked(self) -> None:
        """Leave with a checkpoint, all processes together, if one of them was asked to stop."""
        if any(self.processes.gather(self.stop.asked)):
            self._checkpoint()
            raise KeyboardInterrupt

    def _checkpoint_if_due(self) -> None:
        self._stop_if_asked()
        self._save_prefix()
        if self.state.step % self.plan.settings.checkpoint_every == 0 and self.state.step < self.plan.steps:
            self._checkpoint()

    def _save_prefix(self) -> None:
        """At the end of a stage, leave the state where trainings that begin alike look for it."""
        folder = self.prefixes.get(self.ends.get(self.state.step, 0))
        if folder is not None and not folder.exists():
            self._settle()
            with wrap_write_errors(folder), temporary_folder(folder) as aside:
                shutil.copyfile(self.output / "log.jsonl", aside / "log.jsonl")
                self._checkpoint(aside)
                with suppress(OSError):  # another process was faster; what it left is the same
                    check_fence()
                    os.replace(aside, folder)

    def _checkpoint(self, folder: Path | None = None) -> None:
        self._settle()
        if self.state.step == 0:
            return  # nothing is lost, and the folder is nobody's yet
        if self.processes.is_first:
            claim_output_dir(self.output, self.plan)
        for sink in self.sinks:
            sink.sync()
        self.state.seconds = time.monotonic() - self.started
        self.state.processes = self.processes.count
        tensors = self.student.tensors()
        if self.processes.is_first:
            checkpoint = Checkpoint(tensors, self.state.plain())
            save_checkpoint(folder or self.output / "checkpoints", self.state.step, checkpoint)

    def _resume(self) -> None:
        checkpoint, damaged = checkpoint_to_resume(self.output, self.prefixes, self.encoder.device)
        further = "from the one before it" if checkpoint else "anew, as there is none before it"
        for text in damaged:
            say(self.console, f"{text}; going on {further}", "yellow")
        if checkpoint is None:
            return
        self.state = State.of(checkpoint.state, len(self.plan.stages), self.output)
        self.student.restore(checkpoint.tensors)
        say(self.console, f"  resumed at step {self.state.step} of {self.plan.steps}")
        if self.state.processes != self.processes.count:
            say(
                self.console,
                f"  by {self.processes.count} processes, {self.state.processes} before: not byte-equal to an "
                "uninterrupted training (other sums, and other dropout where there is dropout)",
                "yellow",
            )

    def _finish(self) -> dict[str, Any]:
        self._settle()
        weights = self.student.result()
        seconds = round(time.monotonic() - self.started, 2)
        summary = summarise(self.plan, self.encoder, self.samplers, self.state, seconds)
        if self.processes.is_first:
            model, *folders = model_folders(self.output, self.encoder.exits)
            self.encoder.save(model, weights)
            for depth, folder in zip(self.encoder.exits, folders, strict=True):
                exit = self.encoder.exit(depth, weights)
                exit.save(folder)
                known = ExitSummary(layers=depth, parameters=exit.parameters, weights_sha256=weights_digest(folder))
                summary["exits"].append(asdict(known))
            summary["weights_sha256"] = weights_digest(model)
            write_json(self.output / SUMMARY, summary)
            shutil.rmtree(self.output / "checkpoints", ignore_errors=True)
        return summary
