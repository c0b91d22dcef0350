"""A job: one LLM that orders or grades one run's candidates."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.runs import Run
from limbeck.teachers.llm.attempts import Attempts
from limbeck.teachers.llm.judging import Judging, judge_once
from limbeck.teachers.llm.listwise import Listwise, rank_once
from limbeck.teachers.llm.passages import as_data
from limbeck.teachers.llm.tasks import Task
from limbeck.teachers.llm.windows import merge_orders
from limbeck.teachers.llm.work import Outcome, Work, in_order


@dataclass
class Orders(Outcome):
    """What came of a listwise job.

    orders  query id → mean places from the end, float64 [candidates], higher is better
    """

    orders: dict[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass
class Grades(Outcome):
    """What came of a judging job.

    grades  query id → docid → grade, without the passages that got none
    """

    grades: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Puts the queries of a run before an LLM."""

    work: Work
    collection: Collection
    run: Run

    def rank(self, settings: Listwise) -> Orders:
        """Order every query's candidates. A query of which no order was completed is excluded."""
        outcome = Orders()

        def tasks(query_id: str) -> list[Task[Attempts[tuple[int, ...]]]]:
            query, passages = self._query(query_id), self._passages(query_id, settings.words, outcome)
            ask = partial(rank_once, query_id, query, passages, settings, self.work.asker)
            return [partial(ask, number) for number in range(settings.orders)]

        def finish(query_id: str, orders: list[tuple[int, ...] | None]) -> None:
            outcome.orders[query_id] = merge_orders([order for order in orders if order is not None])

        self.work.run(self._described("rank", settings.describe()), list(self.run), outcome, tasks, finish)
        outcome.orders = in_order(outcome.orders, list(self.run))
        return outcome

    def judge(self, settings: Judging) -> Grades:
        """Grade every query's candidates. A query of which no passage got a grade is excluded."""
        outcome = Grades()

        def tasks(query_id: str) -> list[Task[Attempts[int]]]:
            query, passages = self._query(query_id), self._passages(query_id, settings.words, outcome)
            return [
                partial(judge_once, query_id, docid, query, passage, settings, self.work.asker)
                for docid, passage in zip(self.run[query_id].docids, passages, strict=True)
            ]

        def finish(query_id: str, grades: list[int | None]) -> None:
            judged = zip(self.run[query_id].docids, grades, strict=True)
            outcome.grades[query_id] = {docid: grade for docid, grade in judged if grade is not None}

        self.work.run(self._described("judge", settings.describe()), list(self.run), outcome, tasks, finish)
        outcome.grades = in_order(outcome.grades, list(self.run))
        return outcome

    def _described(self, task: str, settings: dict[str, Any]) -> dict[str, Any]:
        return {
            "task": task,
            **settings,
            "collection": self.collection.name,
            "collection_fingerprint": self.collection.fingerprint,
            "run": self.run.name,
            "run_fingerprint": self.run.fingerprint,
        }

    def _query(self, query_id: str) -> str:
        return as_data(self.collection.queries[query_id], markers=self.work.asker.engine.markers)[0]

    def _passages(self, query_id: str, words: int, outcome: Outcome) -> list[str]:
        markers = self.work.asker.engine.markers
        found = [as_data(self.collection.documents[docid], words, markers) for docid in self.run[query_id].docids]
        outcome.cut += sum(cut for _, cut in found)
        return [text for text, _ in found]
