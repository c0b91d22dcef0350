"""From a study to its results: the driver, which hands nodes to an executor until nothing more can be done."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.core.errors import plural
from limbeck.core.lease import Attempt, Lease, nth_attempt, take
from limbeck.core.progress import say
from limbeck.evaluation import query_means, suite_means
from limbeck.study.config.study import Study
from limbeck.study.run.build_graph import prepare
from limbeck.study.run.executors import Executor, Here, MakeExecutor
from limbeck.study.run.graph import Graph, Node
from limbeck.study.run.index import Invocation
from limbeck.study.run.status import NodeState, NodeStates, State, progress_of
from limbeck.study.run.store import Store, read_json
from limbeck.study.run.tasks import set_state
from limbeck.study.run.work import TRIES, Workshop, budget_share

SHOWN = 4
"""Test collections whose values a finished cell's line shows, and nodes of which a line says how far they are."""
SAY_SECONDS = 30.0
"""Between two lines that say so."""
UNDONE = (State.WAITING, State.READY, State.DIED, State.STOPPED, State.DAMAGED)


def run_study(
    study: Study, output: str | Path, console: Console | None = None, executor: MakeExecutor | None = None
) -> dict[str, int]:
    """Run what is missing of a study into `output`.

    A node that fails is recorded and what does not need it goes on; the next call tries it again. A node whose process
    dies is tried four times. Interrupted at any moment, the same call goes on from there. Nodes that other processes
    are at are left to them, as long as there is something else to do; what is to be done behind shared ones is waited
    for.

    Args:
        executor: where nodes are worked on; one after another in this process, if nothing is said.

    Returns:
        how many cells were finished before (`kept`), finished now (`done`), `failed` now, by themselves or by what they
        need, and were left to another process (`elsewhere`); together, all cells.

    Raises:
        LimbeckError: the study cannot be planned.
        KeyboardInterrupt: on Ctrl-C, with what is at hand resumable.
    """
    console = console or Console(quiet=True)
    store = Store(output)
    graph = prepare(study, store, console)
    made = executor(graph, store, console) if executor else Here(Workshop(graph, store, study), console)
    return _Drive(graph, store, console, made).run()


@contextmanager
def reporting(output: str | Path) -> Iterator[bool]:
    """Hold the right to write a study's report; False if another process does."""
    held = take(Store(output).attempts, "report", {})
    if not isinstance(held, Lease):
        yield False
        return
    with held:
        yield True
        held.end("done")


@dataclass
class _Drive:
    graph: Graph
    store: Store
    console: Console
    executor: Executor
    known: dict[str, NodeState] = field(default_factory=dict)
    earlier: dict[str, int] = field(default_factory=dict)
    """Name → number of the last attempt before this call."""
    starts: dict[str, int] = field(default_factory=dict)
    said: float = field(default_factory=time.monotonic)

    def run(self) -> dict[str, int]:
        looking = NodeStates(self.graph, self.store)
        self.known = looking.look()
        self.earlier = {name: each.attempt.number for name, each in self.known.items() if each.attempt}
        before = self._finished()
        # What failed before this call is tried again, once.
        self.forgiven = {name: each.attempt for name, each in self.known.items() if each.state is State.FAILED}
        invocation = None if len(before) == len(self.cells) and not self._wanted() else Invocation(self.store)
        ended: dict[str, str] = {}
        pause = 0.05
        try:
            while True:
                at_work = self.executor.at_work()
                self.known = self._forgiving(looking.look(), at_work)
                for cell, result in self._news(before, ended):
                    if invocation:
                        invocation.note(cell, result)
                self._say_progress()
                wanted = self._wanted()
                begun = self._start(wanted, at_work)
                if not wanted or not (begun or at_work or self._worth_waiting(wanted)):
                    break
                pause = 0.05 if begun else min(self.executor.patience, pause * 1.5)
                if not (begun and self.executor.is_here):
                    time.sleep(pause)
        finally:
            self.executor.close()
        return self._counts(before, ended, invocation)

    def _wanted(self) -> list[Node]:
        """What is not done and must be: the ends of the graph, and what these need as long as they are not done."""
        wanted: set[str] = set()
        for node in reversed(self.graph.nodes):
            is_end = not self.graph.followers[node.name]
            if self.known[node.name].state is not State.DONE and (
                is_end or node.kind == "cell" or any(after.name in wanted for after in self.graph.followers[node.name])
            ):
                wanted.add(node.name)
        return [node for node in self.graph.nodes if node.name in wanted]

    def _start(self, wanted: list[Node], at_work: set[str]) -> bool:
        """Hand over what can be done now. Whether anything was."""
        ready = []
        for node in wanted:
            state = self.known[node.name].state
            if node.name in at_work or state not in UNDONE:
                continue
            if self.executor.orders_needs or all(self.known[need].state is State.DONE for need in node.needs):
                ready.append(node)
        return self.executor.start(ready, self._begin)

    def _begin(self, node: Node) -> None:
        """Take note that a node is begun."""
        self.starts[node.name] = self.starts.get(node.name, 0) + 1
        if node.kind == "cell":
            self._say(f"{self._label(node.key)}: started")
        elif not self.executor.is_here and node.cell is None:
            self._say(f"{node.label}: started")

    def _say_progress(self) -> None:
        """Where nodes are worked on elsewhere, nothing is seen of them: a line now and then says how far they are."""
        if self.executor.is_here or time.monotonic() - self.said < SAY_SECONDS:
            return
        self.said = time.monotonic()
        running = [node for node in self.graph.nodes if self.known[node.name].state is State.RUNNING]
        if running:
            shown = [f"{node.label}{_percent(progress_of(self.store, node))}" for node in running[:SHOWN]]
            more = f", and {len(running) - SHOWN} more" if len(running) > SHOWN else ""
            self._say(f"at work: {'; '.join(shown)}{more}")

    def _forgiving(self, states: dict[str, NodeState], at_work: set[str]) -> dict[str, NodeState]:
        """The states, in which old failures count as nothing and nodes that die again and again as failed."""
        for node in self.graph.nodes:
            found = states[node.name]
            old = self.forgiven.get(node.name)
            if found.state is State.FAILED and old and found.attempt and old.number == found.attempt.number:
                found = NodeState(State.READY, found.attempt)
            if found.state in UNDONE and node.name not in at_work and self._is_hopeless(node, found):
                found = NodeState(State.FAILED, _gave_up(self.store, node, found))
            blocking = next((n for n in node.needs if states[n].state in (State.FAILED, State.BLOCKED)), None)
            if blocking and found.state in (*UNDONE, State.BLOCKED):
                found = NodeState(State.BLOCKED, found.attempt, states[blocking].blocked_by or blocking)
            elif found.state is State.BLOCKED:
                found = NodeState(State.READY, found.attempt)
            states[node.name] = found
        return states

    def _is_hopeless(self, node: Node, found: NodeState) -> bool:
        """Whether a node was handed over, or died, as often as one is tried; its executor may try it by itself."""
        if self.starts.get(node.name, 0) >= TRIES:
            return True
        numbers = range(self.earlier.get(node.name, 0) + 1, found.attempt.number + 1 if found.attempt else 0)
        if len(numbers) < TRIES:
            return False
        made = [nth_attempt(self.store.attempts, node.key, number) for number in numbers]
        return sum(each.status in (None, "died") for each in made) >= TRIES

    def _worth_waiting(self, wanted: list[Node]) -> bool:
        """Whether another process is at something that all cells share, and behind which there is work to do."""
        running = {node.name for node in wanted if self.known[node.name].state is State.RUNNING}
        return any(self.graph.by_name[name].kind not in ("cell", "score", "evaluate") for name in running)

    @cached_property
    def index(self) -> dict[str, Any]:
        return self.store.read_index()

    @cached_property
    def cells(self) -> dict[str, dict[str, Any]]:
        """Id → its entry in the index, each once, though several recipes may be the same."""
        return {entry["id"]: entry for entry in self.index["cells"]}

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {cell: number for number, cell in enumerate(self.cells, 1)}

    @cached_property
    def nodes(self) -> dict[str, list[Node]]:
        """Cell → what it consists of; the shards of long evaluations are told by these."""
        found: dict[str, list[Node]] = {cell: [] for cell in self.cells}
        for node in self.graph.nodes:
            if node.cell and node.kind != "score":
                found[node.cell].append(node)
        return found

    def _finished(self) -> set[str]:
        return {
            cell
            for cell, nodes in self.nodes.items()
            if all(self.known[node.name].state is State.DONE for node in nodes)
        }

    def _news(self, before: set[str], ended: dict[str, str]) -> list[tuple[str, str]]:
        """Cells that came to an end since the last look, which are written down and said."""
        found = []
        for cell in self.cells:
            if cell in before or cell in ended:
                continue
            states = {node.name: self.known[node.name] for node in self.nodes[cell]}
            kinds = {each.state for each in states.values()}
            if kinds == {State.DONE}:
                ended[cell] = "done"
                self._say_done(cell, states)
            elif not kinds & {*UNDONE, State.RUNNING}:
                ended[cell] = "failed"
                self._say_failed(cell, states)
            else:
                continue
            found.append((cell, ended[cell]))
        return found

    def _say_done(self, cell: str, states: Mapping[str, NodeState]) -> None:
        seconds = sum(each.attempt.record.get("seconds", 0.0) for each in states.values() if each.attempt)
        set_state(self.store, cell, status="done", seconds=round(seconds, 2))
        entry, measures = self.cells[cell], self.index["measures"]
        found = {
            name: query_means(read_json(self.store.evaluation(cell, key) / "values.json")["values"], measures)
            for name, key in entry["evaluations"].items()
        }
        halvings = max(each.attempt.record.get("halvings", 0) for each in states.values() if each.attempt)
        less = f"; {budget_share(halvings)}, as memory ran out" if halvings else ""
        self._say(f"{self._label(cell)}: {_outcome(found)} ({seconds:.1f} s{less})")

    def _say_failed(self, cell: str, states: Mapping[str, NodeState]) -> None:
        failed = next((each for each in states.values() if each.state is State.FAILED), None)
        text = failed.error if failed else None
        if failed is None:
            blocked = next(each for each in states.values() if each.state is State.BLOCKED)
            by = self.graph.by_name[blocked.blocked_by or ""]
            text = f"{by.label} failed: {self.known[by.name].error}"
        set_state(self.store, cell, status="failed", error=text)
        self._say(f"{self._label(cell)}: failed: {text}")

    def _label(self, cell: str) -> str:
        return f"[{self.numbers[cell]}/{len(self.cells)}] {self.graph.by_name[f'cell/{cell}'].label}"

    def _say(self, text: str) -> None:
        say(self.console, text)

    def _counts(self, before: set[str], ended: dict[str, str], invocation: Invocation | None) -> dict[str, int]:
        counts = {"kept": 0, "done": 0, "failed": 0, "elsewhere": 0}
        for entry in self.index["cells"]:
            result = "kept" if entry["id"] in before else ended.get(entry["id"], "elsewhere")
            counts[result] += 1
            if result == "elsewhere" and invocation:
                invocation.note(entry["id"], result)
                self._say(f"{self._label(entry['id'])}: another process is running it")
        others = [node for node in self.graph.nodes if self.known[node.name].state in (State.FAILED, State.BLOCKED)]
        for node in others:
            if node.cell is None and self.known[node.name].state is State.FAILED:
                after = sum(self.known[name].blocked_by == node.name for name in self.known)
                blocks = f"; left out with it: {plural(after, 'node')}" if after else ""
                self._say(f"{node.label}: failed: {self.known[node.name].error}{blocks}")
        if counts["kept"] + counts["done"] == len(self.index["cells"]):
            self.store.drop_prefixes()
        return counts


def _gave_up(store: Store, node: Node, found: NodeState) -> Attempt:
    last = found.attempt
    where = f"; the last log is {store.log(node.key, last.number)}" if last else ""
    text = f"its process died or could not be started, {TRIES} times{where}"
    record = {**(last.record if last else {}), "error": text}
    path = last.path if last else store.attempts
    return Attempt(node.key, last.number if last else 0, path, record)


def _percent(progress: float | None) -> str:
    return "" if progress is None else f" {progress:.0%}"


def _outcome(found: dict[str, dict[str, float]]) -> str:
    """The first measure's means; of many collections only the averages over their suites."""
    measure = next(iter(next(iter(found.values()))))
    values = {name: of[measure] for name, of in found.items()}
    shown = values if len(values) <= SHOWN else suite_means(values) or values
    return f"{measure} " + ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
