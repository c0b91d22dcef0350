"""A job: one LLM, one run's candidates, and what became of each query."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from limbeck.collections import Collection
from limbeck.collections.progress import bar
from limbeck.runs import Run
from limbeck.teachers.llm.asking import Asker
from limbeck.teachers.llm.call import Stopped
from limbeck.teachers.llm.judging import Judged, Judging, judge_once
from limbeck.teachers.llm.listwise import Listwise, Ranked, rank_once
from limbeck.teachers.llm.passages import as_data
from limbeck.teachers.llm.tasks import Task, run_tasks
from limbeck.teachers.llm.windows import merge_orders

Result = TypeVar("Result", Ranked, Judged)
Value = TypeVar("Value")


@dataclass
class Outcome:
    """What came of a job.

    orders      query id → mean places from the end, float64 [candidates], higher is better; of a listwise job
    grades      query id → docid → grade, without the passages that got none; of a judging job
    excluded    query id → the defects for which nothing was kept of it
    incomplete  queries kept with fewer orders, or grades, than were asked for
    unfinished  queries that were not come to the end of
    defects     how many answers had which defect, mended ones included
    cut         passages that were cut to the limit of words
    stopped     why calls ended early; None if they did not
    """

    orders: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    grades: dict[str, dict[str, int]] = field(default_factory=dict)
    excluded: dict[str, Counter[str]] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    defects: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    stopped: Stopped | None = None


@dataclass(frozen=True)
class Job:
    """Puts the queries of a run before an LLM.

    concurrency: how many calls may be under way at once. stopping: is set to have no further call begin.
    """

    asker: Asker
    collection: Collection
    run: Run
    concurrency: int
    stopping: threading.Event
    console: Console | None = None

    def rank(self, settings: Listwise) -> Outcome:
        """Order every query's candidates. A query of which no order was completed is excluded."""
        outcome = Outcome()

        def tasks(query_id: str, query: str, passages: Sequence[str]) -> list[Task[Ranked]]:
            ask = partial(rank_once, query_id, query, passages, settings, self.asker)
            return [partial(ask, number) for number in range(settings.orders)]

        def finish(query_id: str, results: list[Ranked]) -> int:
            orders = [ranked.order for ranked in results if ranked.order is not None]
            if orders:
                outcome.orders[query_id] = merge_orders(orders)
            return len(orders)

        return self._run("rank", outcome, settings, tasks, finish)

    def judge(self, settings: Judging) -> Outcome:
        """Grade every query's candidates. A query of which no passage got a grade is excluded."""
        outcome = Outcome()

        def tasks(query_id: str, query: str, passages: Sequence[str]) -> list[Task[Judged]]:
            docids = self.run[query_id].docids
            return [
                partial(judge_once, query_id, docid, query, passage, settings, self.asker)
                for docid, passage in zip(docids, passages, strict=True)
            ]

        def finish(query_id: str, results: list[Judged]) -> int:
            grades = {judged.docid: judged.grade for judged in results if judged.grade is not None}
            if grades:
                outcome.grades[query_id] = grades
            return len(grades)

        return self._run("judge", outcome, settings, tasks, finish)

    def _run(
        self,
        task: str,
        outcome: Outcome,
        settings: Listwise | Judging,
        tasks_of: Callable[[str, str, Sequence[str]], list[Task[Result]]],
        finish: Callable[[str, list[Result]], int],
    ) -> Outcome:
        """Run all queries' tasks; `finish` takes the results of one query, and says how many of them it could use."""
        job = self._announce({"task": task, **settings.describe()})
        owners: list[str] = []
        open_tasks: dict[str, int] = {}
        results: dict[str, dict[int, Result]] = {}

        def tasks() -> Iterator[Task[Result]]:
            for query_id in self.run:
                query, _ = as_data(self.collection.queries[query_id], markers=self.asker.engine.markers)
                of_query = tasks_of(query_id, query, self._passages(query_id, settings.words, outcome))
                open_tasks[query_id], results[query_id] = len(of_query), {}
                for each in of_query:
                    owners.append(query_id)
                    yield each

        with bar(self.console, f"Ask {self.asker.engine.model}", len(self.run)) as advance:
            for number, result in run_tasks(tasks(), self.concurrency, self.stopping, self._interrupted):
                if isinstance(result, Stopped):
                    outcome.stopped = result
                    continue
                query_id = owners[number]
                results[query_id][number] = result
                open_tasks[query_id] -= 1
                if not open_tasks[query_id]:
                    advance(1)
                    done = [result for _, result in sorted(results.pop(query_id).items(), key=itemgetter(0))]
                    self._finish(job, query_id, done, finish(query_id, done), outcome)
        outcome.unfinished = [query_id for query_id in self.run if open_tasks.get(query_id, 1)]
        outcome.orders = self._in_order(outcome.orders)
        outcome.grades = self._in_order(outcome.grades)
        outcome.excluded = self._in_order(outcome.excluded)
        return outcome

    def _in_order(self, found: Mapping[str, Value]) -> dict[str, Value]:
        """The same in the run's order, whichever call was answered first."""
        return {query_id: found[query_id] for query_id in self.run if query_id in found}

    def _interrupted(self, under_way: int) -> None:
        if self.console and under_way:
            self.console.print(f"waiting for {under_way} calls under way: they are paid for", style="yellow")

    def _finish(
        self, job: str, query_id: str, results: Sequence[Ranked | Judged], usable: int, outcome: Outcome
    ) -> None:
        found: Counter[str] = Counter()
        for result in results:
            found.update(result.defects)
        outcome.defects.update(found)
        if not usable:
            outcome.excluded[query_id] = found
        elif usable < len(results):
            outcome.incomplete.append(query_id)
        record = {
            "status": "done" if usable else "excluded",
            "usable": usable,
            "of": len(results),
            "answers": sum(result.calls for result in results),
            "defects": dict(sorted(found.items())),
        }
        self.asker.store.add_outcome(job, query_id, record)

    def _announce(self, settings: Mapping[str, Any]) -> str:
        """Note the job in the store; its key."""
        engine = self.asker.engine
        described = {
            **settings,
            "collection": self.collection.name,
            "collection_fingerprint": self.collection.fingerprint,
            "run": self.run.name,
            "run_fingerprint": self.run.fingerprint,
            "queries": len(self.run),
            "model": engine.model,
            "revision": engine.revision,
            "parameters": dict(engine.parameters),
        }
        key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]
        prices = asdict(self.asker.budget.cap.prices)
        self.asker.store.add_job(key, {**described, "place": engine.place, "prices": prices})
        return key

    def _passages(self, query_id: str, words: int, outcome: Outcome) -> list[str]:
        markers = self.asker.engine.markers
        found = [as_data(self.collection.documents[docid], words, markers) for docid in self.run[query_id].docids]
        outcome.cut += sum(cut for _, cut in found)
        return [text for text, _ in found]
