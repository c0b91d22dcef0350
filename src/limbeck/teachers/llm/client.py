"""Asking an LLM: one call until an answer is usable, and many tasks at once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any, Generic, TypeVar

from rich.console import Console

from limbeck.core.errors import plural
from limbeck.core.json_files import key_of
from limbeck.core.progress import bar
from limbeck.teachers.llm.cache import Budget, CallStore
from limbeck.teachers.llm.engine import FAILED, Answer, Call, CallFailed, Engine, Parsed, Stopped
from limbeck.teachers.llm.prompts import Message

Value = TypeVar("Value")
Result = TypeVar("Result")
Task = Callable[[], Result]


@dataclass(frozen=True)
class RetryResult(Generic[Value]):
    """What came of asking.

    value    what the first usable answer held; None where there was none: no answer is ever made up
    defects  how many answers had which defect, those included that a further attempt mended
    calls    how often it was asked
    """

    value: Value | None
    defects: Counter[str]
    calls: int


def until_usable(ask: Callable[[int], Parsed[Value]], attempts: int) -> RetryResult[Value]:
    """Ask at most `attempts` times; `ask` gets how often it was asked in vain before, and reads the answer.

    A call that failed is the last one: its engine has tried it again already. Raises what `ask` raises but CallFailed.
    """
    found: Counter[str] = Counter()
    for attempt in range(attempts):
        try:
            parsed = ask(attempt)
        except CallFailed:
            found[FAILED] += 1
            return RetryResult(None, found, attempt + 1)
        found.update(parsed.defects)
        if parsed.value is not None:
            return RetryResult(parsed.value, found, attempt + 1)
    return RetryResult(None, found, attempts)


FAILURES_IN_A_ROW = 10


class LLMClient:
    """Puts prompts to an engine. Safe for threads if the engine is. Once `stopping` is set, no further call begins."""

    def __init__(self, engine: Engine, store: CallStore, budget: Budget, stopping: threading.Event) -> None:
        self.engine = engine
        self.store = store
        self.budget = budget
        self.stopping = stopping
        self._failed: set[str] = set()  # since the last answer
        self._lock = threading.Lock()

    def __call__(self, messages: Sequence[Message], attempt: int, about: Mapping[str, Any]) -> Answer:
        """The answer to a chat. The seed, where there is one, is moved by `attempt`.

        Raises:
            CallFailed: the engine gave none.
            Stopped: the budget is spent, too many calls in a row failed, or `stopping` is set.
            LimbeckError: no call could be answered, as the endpoint refuses them all.
        """
        parameters = dict(self.engine.parameters)
        if isinstance(parameters.get("seed"), int):
            parameters["seed"] += attempt
        call = Call(
            model=self.engine.model,
            revision=self.engine.revision,
            parameters=parameters,
            messages=tuple(messages),
            attempt=attempt,
            about=about,
        )
        found = self.store.find(call)
        if found is not None:
            return found
        if self.stopping.is_set():
            raise Stopped("interrupted")
        with self.budget.reserved(call, self.store.spent), self.store.reserved(call):
            try:
                answer = self.engine.answer(call)
            except CallFailed as failure:
                self.store.add_failure(call, failure, self.engine.place)
                self._count_failure(call, failure)
                raise
            self.store.add(call, answer, self.engine.place)
        with self._lock:
            self._failed.clear()
        return answer

    def _count_failure(self, call: Call, failure: CallFailed) -> None:
        if self.stopping.is_set():
            raise Stopped("interrupted")
        with self._lock:
            # What is refused time and again for one query, or document, says nothing about the next one.
            unit = call.about.get("query", call.about.get("document"))
            self._failed.add(f"unit {unit}" if failure.refused else call.key)
            if len(self._failed) >= FAILURES_IN_A_ROW:
                raise Stopped(f"{len(self._failed)} calls in a row were not answered, the last one: {failure}")


def run_tasks(
    tasks: Iterable[Task[Result]],
    concurrency: int,
    stopping: threading.Event,
    interrupted: Callable[[int], None],
) -> Iterator[tuple[int, Result | Stopped]]:
    """(number of the task, its result) of each, as they finish; a task that was Stopped gives that as its result.

    Tasks are taken from their source as they can begin.

    After the first Stopped, or any other exception, no further task begins; `stopping` is set so that those under way
    make no further call. Calls under way are waited for: they are paid for, and their answers are to be kept. Other
    exceptions are raised then. On KeyboardInterrupt, `interrupted` is told how many tasks are waited for.
    """
    numbers: dict[Future[Result], int] = {}
    waiting = iter(enumerate(tasks))
    stopped = False
    with ThreadPoolExecutor(concurrency) as pool:
        try:
            while True:
                while not stopped and len(numbers) < concurrency and (task := next(waiting, None)) is not None:
                    numbers[pool.submit(task[1])] = task[0]
                if not numbers:
                    return
                for future in wait(numbers, return_when=FIRST_COMPLETED).done:
                    number = numbers.pop(future)
                    try:
                        yield number, future.result()
                    except Stopped as reason:
                        if not stopped:
                            stopping.set()
                            stopped = True
                            yield number, reason
        except BaseException as error:
            stopping.set()
            if isinstance(error, KeyboardInterrupt):
                interrupted(sum(not future.done() for future in numbers))
            raise


@dataclass
class Outcome:
    """What came of work, beside what it was done for.

    excluded    unit → the defects for which nothing was kept of it; a unit is a query, or a document
    incomplete  units of which a part of the answers was not usable
    unfinished  units that were not come to the end of
    defects     how many answers had which defect, mended ones included
    cut         passages that were cut to the limit of words
    stopped     why calls ended early; None if they did not
    """

    excluded: dict[str, Counter[str]] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    defects: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    stopped: Stopped | None = None


@dataclass(frozen=True)
class LLMSession:
    """Puts units before an LLM.

    concurrency: how many calls may be under way at once. stopping: is set to have no further call begin.
    """

    client: LLMClient
    concurrency: int
    stopping: threading.Event
    console: Console | None = None

    def run(
        self,
        described: Mapping[str, Any],
        units: Sequence[str],
        outcome: Outcome,
        tasks_of: Callable[[str], list[Task[RetryResult[Value]]]],
        finish: Callable[[str, list[Value | None]], None],
    ) -> None:
        """Run all units' tasks; `finish` takes what came of one unit's, in their order, unless it is nothing at all.

        `described` is what this is, for the store: task, settings, collection, run.
        """
        job = self._announce({**described, "queries": len(units)})
        owners: list[str] = []
        open_tasks: dict[str, int] = {}
        results: dict[str, dict[int, RetryResult[Value]]] = {}

        def tasks() -> Iterator[Task[RetryResult[Value]]]:
            for unit in units:
                of_unit = tasks_of(unit)
                open_tasks[unit], results[unit] = len(of_unit), {}
                for each in of_unit:
                    owners.append(unit)
                    yield each

        with bar(self.console, f"Ask {self.client.engine.model}", len(units)) as advance:
            for number, result in run_tasks(tasks(), self.concurrency, self.stopping, self._interrupted):
                if isinstance(result, Stopped):
                    outcome.stopped = result
                    continue
                unit = owners[number]
                results[unit][number] = result
                open_tasks[unit] -= 1
                if not open_tasks[unit]:
                    advance(1)
                    done = [result for _, result in sorted(results.pop(unit).items(), key=itemgetter(0))]
                    if self._finish(job, unit, done, outcome):
                        finish(unit, [result.value for result in done])
        outcome.unfinished = [unit for unit in units if open_tasks.get(unit, 1)]
        outcome.excluded = in_order(outcome.excluded, units)

    def _interrupted(self, under_way: int) -> None:
        if self.console and under_way:
            self.console.print(f"waiting for {plural(under_way, 'call')} under way: they are paid for", style="yellow")

    def _finish(self, job: str, unit: str, results: Sequence[RetryResult[Value]], outcome: Outcome) -> int:
        """Note how a unit's tasks went; how many of them gave something."""
        usable = sum(result.value is not None for result in results)
        found: Counter[str] = Counter()
        for result in results:
            found.update(result.defects)
        outcome.defects.update(found)
        if not usable:
            outcome.excluded[unit] = found
        elif usable < len(results):
            outcome.incomplete.append(unit)
        record = {
            "status": "done" if usable else "excluded",
            "usable": usable,
            "of": len(results),
            "answers": sum(result.calls for result in results),
            "defects": dict(sorted(found.items())),
        }
        self.client.store.add_outcome(job, unit, record)
        return usable

    def _announce(self, described: Mapping[str, Any]) -> str:
        """Note the work in the store; its key."""
        engine = self.client.engine
        described = {
            **described,
            "model": engine.model,
            "revision": engine.revision,
            "parameters": dict(engine.parameters),
        }
        key = key_of(described)
        prices = asdict(self.client.budget.cap.prices)
        self.client.store.add_job(key, {**described, "place": engine.place, "prices": prices})
        return key


def in_order(found: Mapping[str, Value], units: Sequence[str]) -> dict[str, Value]:
    """The same in the units' order, whichever call was answered first."""
    return {unit: found[unit] for unit in units if unit in found}
