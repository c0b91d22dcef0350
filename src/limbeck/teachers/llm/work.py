"""Work put before an LLM: many units, of which each asks several times, and what became of each."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any, TypeVar

from rich.console import Console

from limbeck.collections.progress import bar
from limbeck.teachers.llm.asking import Asker
from limbeck.teachers.llm.attempts import Attempts
from limbeck.teachers.llm.call import Stopped
from limbeck.teachers.llm.tasks import Task, run_tasks

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
class Work:
    """Puts units before an LLM.

    concurrency: how many calls may be under way at once. stopping: is set to have no further call begin.
    """

    asker: Asker
    concurrency: int
    stopping: threading.Event
    console: Console | None = None

    def run(
        self,
        described: Mapping[str, Any],
        units: Sequence[str],
        outcome: Outcome,
        tasks_of: Callable[[str], list[Task[Attempts[Value]]]],
        finish: Callable[[str, list[Value | None]], None],
    ) -> None:
        """Run all units' tasks; `finish` takes what came of one unit's, in their order, unless it is nothing at all.

        `described` is what this is, for the store: task, settings, collection, run.
        """
        job = self._announce({**described, "queries": len(units)})
        owners: list[str] = []
        open_tasks: dict[str, int] = {}
        results: dict[str, dict[int, Attempts[Value]]] = {}

        def tasks() -> Iterator[Task[Attempts[Value]]]:
            for unit in units:
                of_unit = tasks_of(unit)
                open_tasks[unit], results[unit] = len(of_unit), {}
                for each in of_unit:
                    owners.append(unit)
                    yield each

        with bar(self.console, f"Ask {self.asker.engine.model}", len(units)) as advance:
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
            self.console.print(f"waiting for {under_way} calls under way: they are paid for", style="yellow")

    def _finish(self, job: str, unit: str, results: Sequence[Attempts[Value]], outcome: Outcome) -> int:
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
        self.asker.store.add_outcome(job, unit, record)
        return usable

    def _announce(self, described: Mapping[str, Any]) -> str:
        """Note the work in the store; its key."""
        engine = self.asker.engine
        described = {
            **described,
            "model": engine.model,
            "revision": engine.revision,
            "parameters": dict(engine.parameters),
        }
        key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]
        prices = asdict(self.asker.budget.cap.prices)
        self.asker.store.add_job(key, {**described, "place": engine.place, "prices": prices})
        return key


def described(work: Work, outcome: Outcome, settings: Mapping[str, Any], units: str = "queries") -> dict[str, str]:
    """What is kept of how something was made, beside it: the lists' metadata."""
    engine = work.asker.engine
    return {
        "teacher_version": engine.revision or "not known: an endpoint's",
        "teacher_place": engine.place,
        "calls": str(work.asker.store.journal.path),
        "teacher_parameters": json.dumps(dict(engine.parameters), sort_keys=True),
        "teacher_settings": json.dumps(dict(settings), sort_keys=True),
        f"{units}_excluded": str(len(outcome.excluded)),
        f"{units}_incomplete": str(len(outcome.incomplete)),
        f"{units}_unfinished": str(len(outcome.unfinished)),
        "passages_cut": str(outcome.cut),
        "answers_defective": json.dumps(dict(sorted(outcome.defects.items()))),
    }


def in_order(found: Mapping[str, Value], units: Sequence[str]) -> dict[str, Value]:
    """The same in the units' order, whichever call was answered first."""
    return {unit: found[unit] for unit in units if unit in found}
