"""From a node to its published result: the one function by which every executor has a study's work done."""

import gc
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from limbeck.core.devices import Processes, started_together
from limbeck.core.errors import LimbeckError
from limbeck.core.lease import Attempt, Lease, LeaseLost, last_attempt, take
from limbeck.core.progress import say
from limbeck.study.config.study import Study
from limbeck.study.run.artifacts import Materials
from limbeck.study.run.graph import Graph, Node, read_graph, read_study
from limbeck.study.run.status import NodeStates, State, damaged_files, file_digest
from limbeck.study.run.store import Store
from limbeck.study.run.tasks import FUNCTIONS, cell_of, set_state, training_plan
from limbeck.training import train

TRIES = 4
"""Of a node whose process dies or whose memory runs out: the first one, and three more."""
_TRAININGS = ("cell", "prefix")


class Outcome(IntEnum):
    """What became of a node; the exit code of `limbeck study work`."""

    DONE = 0
    FAILED = 7
    HELD = 75
    STOPPED = 130


@dataclass(frozen=True)
class Workshop:
    """What work on a study's nodes is done with; what several nodes read is loaded once.

    Attributes:
        on_loss: called in another thread when another process has taken over the node at hand.
    """

    graph: Graph
    store: Store
    study: Study = field(repr=False)
    on_loss: Callable[[], None] | None = None

    @classmethod
    def open(cls, output: str | Path, on_loss: Callable[[], None] | None = None) -> "Workshop":
        """The workshop of an output folder whose graph was written. Raises what `read_graph` raises."""
        store = Store(output)
        graph = read_graph(store)
        return cls(graph, store, read_study(graph, store), on_loss)

    @cached_property
    def materials(self) -> Materials:
        """The study's runs and lists; what they say goes to the console that they were last given."""
        return Materials(self.study.sources, self.store, Console(quiet=True))

    def work(self, node: Node, console: Console) -> Outcome:
        """Do a node's work, unless it is done or another process is at it, and write down what became of it.

        Its needs must be done. A user's mistake and a fault of ours fail the node once, with error and log; being
        asked to stop leaves it to be gone on with. Where memory runs out it is tried again, three times, a training
        with half the token budget each time (`halvings` of `limbeck.training.train`): not the same byte for byte.
        """
        states = NodeStates(self.graph, self.store)
        found = states.of(node)
        if found.state is State.DONE:
            return Outcome.DONE
        missing = [need for need in node.needs if states.of(self.graph.find(need)).state is not State.DONE]
        if missing:
            say(console, f"{node.name}: needs {', '.join(missing)}, which is not done")
            return Outcome.FAILED
        last, outcome = found.attempt, None
        for more in reversed(range(TRIES)):
            halvings = _halvings(last) if node.kind in _TRAININGS else 0
            facts = {"node": node.name, "halvings": halvings, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES") or None}
            held = take(self.store.attempts, node.key, facts, self.on_loss)
            if not isinstance(held, Lease):
                return Outcome.HELD
            if found.state is State.DAMAGED and last is found.attempt and last:
                _remove_damaged(self.store, node, last)
            log = self.store.log(node.key, held.attempt.number)
            log.parent.mkdir(parents=True, exist_ok=True)
            with held, log.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                said = _Both(console, Console(file=stream, width=200, no_color=True))
                outcome = self._attempt(replace(node, halvings=halvings), held, said, more)
            if outcome is not None:
                break
            last = last_attempt(self.store.attempts, node.key)
            gc.collect()  # what the failed attempt's frames held
            torch.cuda.empty_cache()  # nothing where there is no device
        return Outcome.FAILED if outcome is None else outcome

    def _attempt(self, node: Node, lease: Lease, said: "_Both", more: int) -> Outcome | None:
        """One try. None where memory ran out and there are `more` tries."""
        began, short = time.monotonic(), False

        def end(status: str, **facts: Any) -> None:
            lease.end(status, seconds=round(time.monotonic() - began, 3), **facts)

        try:
            if lease.attempt.number > 1:
                less = f", with {budget_share(node.halvings)}" if node.halvings else ""
                said.print(f"attempt {lease.attempt.number}{less}", highlight=False)
            files = FUNCTIONS[node.kind](self, node, said)
            end("done", files=_facts(self.store.folder, files))
        except KeyboardInterrupt:
            with suppress(LeaseLost):
                end("stopped")
            return Outcome.STOPPED
        except LeaseLost as error:
            say(said, str(error))
            return Outcome.HELD
        except LimbeckError as error:
            text = str(error)
        # Whatever goes wrong in one node must not cost the others; its traceback is kept for whoever mends it.
        except Exception as error:
            with suppress(OSError):  # a full disk
                say(said.copy, traceback.format_exc())
            log = self.store.log(node.key, lease.attempt.number)
            text = f"{type(error).__name__}: {error} (traceback in {log})"
            short = _ran_out_of_memory(error)
        else:
            return Outcome.DONE
        if short:
            half = ", with half the token budget" if node.kind in _TRAININGS else ""
            then = f"it is tried again{half}" if more else f"{TRIES} times; give it a device with more"
            text = f"memory ran out, {then}: {text}"
        try:
            say(said.copy, text)
            if short and more:
                say(said.shown, f"{node.label}: {text}")
                end("died", error=text, out_of_memory=True)
                return None
            if node.kind in _TRAININGS and node.cell:
                set_state(self.store, node.cell, status="failed", error=text)
            end("failed", error=text)
        except LeaseLost:
            return Outcome.HELD
        except (LimbeckError, OSError):
            # A full disk takes no word of it either. The attempt counts as one whose process died, and is tried again.
            say(said.shown, f"{node.label}: failed: {text}")
        return Outcome.FAILED


def work(output: str | Path, name: str, console: Console) -> Outcome:
    """Do the work of one node of an output folder, as a process of its own: `limbeck study work OUTPUT NAME`.

    SIGTERM asks to stop, as Ctrl-C does. If another process takes over the node meanwhile, this one ends at once.
    """

    def ask_to_stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, ask_to_stop)
    workshop = Workshop.open(output, on_loss=lambda: os._exit(Outcome.HELD))
    node = workshop.graph.find(name)
    if started_together() > 1:
        return _train_together(workshop, node)
    return workshop.work(node, console)


class _Both(Console):
    """A console that is written to together with a node's log."""

    def __init__(self, shown: Console, log: Console) -> None:
        super().__init__(file=shown.file, quiet=shown.quiet, width=shown.width, force_terminal=shown.is_terminal)
        self.shown, self.copy = shown, log

    def print(self, *objects: Any, **options: Any) -> None:
        self.shown.print(*objects, **options)
        if all(isinstance(each, str) for each in objects):  # and no bar that is redrawn
            self.copy.print(*objects, **options)


def _train_together(shop: Workshop, node: Node) -> Outcome:
    """This process's part in the training of a cell, whose hold the process has that started all of them."""
    cell = cell_of(shop, node)
    processes = Processes.joined()
    train(training_plan(cell, shop.study, shop.materials), shop.store.cell(cell.id), None, None, processes)
    return Outcome.DONE


def budget_share(halvings: int) -> str:
    """What a training had of its token budget, in words."""
    return f"1/{2**halvings} of the token budget"


def _halvings(last: Attempt | None) -> int:
    """How often the token budget is halved after an attempt; after one that came to an end of its own, not at all."""
    if last is None or last.status in ("done", "failed"):
        return 0
    return int(last.record.get("halvings", 0)) + bool(last.record.get("out_of_memory"))


def _ran_out_of_memory(error: BaseException) -> bool:
    # On the CPU torch raises a RuntimeError that only its text tells from others.
    on_cpu = "DefaultCPUAllocator: can't allocate memory"
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or on_cpu in str(error)


def _facts(folder: Path, files: list[Path]) -> dict[str, list[int | str]]:
    """Path in the study's folder → size, time of change and digest, by which damage is found."""
    found: dict[str, list[int | str]] = {}
    for path in files:
        stat = path.stat()
        found[path.relative_to(folder).as_posix()] = [stat.st_size, stat.st_mtime_ns, file_digest(path)]
    return found


def _remove_damaged(store: Store, node: Node, attempt: Attempt) -> None:
    """Take away what is not as it was written, so that it is made again; of a training, all that it ended with."""
    damaged = [store.folder / name for name in damaged_files(store, attempt)]
    if node.kind == "cell":
        damaged.append(store.cell(node.key) / "summary.json")
        shutil.rmtree(store.cell(node.key) / "model", ignore_errors=True)
    for path in damaged:
        path.unlink(missing_ok=True)
