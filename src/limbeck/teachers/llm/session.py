"""Work with an LLM: its engine and its store of calls opened together, and many tasks at once that ask it."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from limbeck.core.errors import plural
from limbeck.core.json_files import key_of
from limbeck.core.progress import bar
from limbeck.teachers.kinds.llm import LLMSettings
from limbeck.teachers.llm.cache import CallStore
from limbeck.teachers.llm.client import Budget, LLMClient, RetryResult
from limbeck.teachers.llm.endpoint import Endpoint
from limbeck.teachers.llm.engine import Engine, Stopped
from limbeck.teachers.llm.transport import Address

Result = TypeVar("Result")
Task = Callable[[], Result]


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


Value = TypeVar("Value")


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


def described(
    session: LLMSession, outcome: Outcome, settings: Mapping[str, Any], units: str = "queries"
) -> dict[str, str]:
    """What is kept of how something was made, beside it: the lists' metadata."""
    engine = session.client.engine
    return {
        "teacher_version": engine.revision or "not known: an endpoint's",
        "teacher_place": engine.place,
        "calls": str(session.client.store.journal.path),
        "teacher_parameters": json.dumps(dict(engine.parameters), sort_keys=True),
        "teacher_settings": json.dumps(dict(settings), sort_keys=True),
        f"{units}_excluded": str(len(outcome.excluded)),
        f"{units}_incomplete": str(len(outcome.incomplete)),
        f"{units}_unfinished": str(len(outcome.unfinished)),
        "passages_cut": str(outcome.cut),
        "answers_defective": json.dumps(dict(sorted(outcome.defects.items()))),
    }


def session_facts(session: LLMSession, outcome: Outcome) -> str:
    """How many calls were made, and what was wrong with answers, in a sentence."""
    store = session.client.store
    defects = ", ".join(f"{count} {name}" for name, count in sorted(outcome.defects.items()))
    return (
        f"{store.journal.path}: {plural(store.made, 'call')} made, {store.found} found here; defects of answers: "
        f"{defects or 'none'}"
    )


def in_order(found: Mapping[str, Value], units: Sequence[str]) -> dict[str, Value]:
    """The same in the units' order, whichever call was answered first."""
    return {unit: found[unit] for unit in units if unit in found}


@contextmanager
def open_session(
    settings: LLMSettings,
    calls: Path,
    console: Console | None,
    warn: Callable[[str], None],
    name: str | None = None,
) -> Iterator[LLMSession]:
    """The engine that settings name, with the store of calls in the file `calls` open.

    Args:
        warn: told what a user should know.
        name: what the model is to be loaded by, where it is in this process; by default as the settings name it.

    Raises what the engine and the store raise that cannot be had.
    """
    stopping = threading.Event()
    with ExitStack() as stack:
        engine: Engine
        if settings.endpoint is None:
            from limbeck.teachers.llm.in_process import InProcess, LanguageModel  # torch, which an endpoint needs not

            engine = InProcess(LanguageModel.load(name or settings.model, settings.precision), settings.sampling)
        else:
            address = Address(settings.endpoint)
            if address.is_readable_on_the_way:
                warn(f"queries and passages go to {address.host} unencrypted")
            engine = Endpoint(
                address=address,
                model=settings.model,
                parameters=settings.sampling,
                key_variable=settings.key_variable,
                revision=settings.revision,
                timeout=settings.timeout,
                retries=settings.retries,
                connections=settings.concurrency,
                stopping=stopping,
            )
            stack.callback(engine.close)
        store = stack.enter_context(CallStore(calls))
        if store.journal.repaired:
            warn(f"{calls}: the last record was half written and has been removed")
        concurrency = 1 if settings.endpoint is None else settings.concurrency
        client = LLMClient(engine, store, Budget(settings.cap), stopping)
        yield LLMSession(client, concurrency, stopping, console)
