"""Live progress of a training: a bar on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from limbeck.collections.progress import QUIET_SECONDS


class StepProgress:
    """Shows step, smoothed loss, pairs per second and the learning rate while a training runs."""

    def __init__(self, console: Console, steps: int, done: int) -> None:
        self.console, self.steps, self.done = console, steps, done
        columns = (TextColumn("  train"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self.task = self.bar.add_task("", total=steps, completed=done)
        self.loss: float | None = None
        self.pairs, self.since, self.said = 0, time.monotonic(), time.monotonic()

    def __enter__(self) -> "StepProgress":
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def advance(self, loss: float, pairs: int, rate: float) -> None:
        """One step more."""
        self.done += 1
        self.loss = loss if self.loss is None else 0.9 * self.loss + 0.1 * loss
        self.pairs += pairs
        now = time.monotonic()
        text = f"loss {self.loss:.4f}, {self.pairs / (now - self.since):.0f} pairs/s, learning rate {rate:.1e}"
        if self.console.is_terminal:
            self.bar.update(self.task, completed=self.done, description=text)
        elif now - self.said >= QUIET_SECONDS:
            self.console.print(f"  step {self.done} of {self.steps}: {text}", highlight=False)
            self.said = now
