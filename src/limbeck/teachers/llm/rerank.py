"""Re-ranking and judging by an LLM: sliding windows, merged orders, grades, and a run's queries at once."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.runs import Run
from limbeck.teachers.llm.client import LLMClient, LLMSession, Outcome, RetryResult, Task, in_order, until_usable
from limbeck.teachers.llm.engine import Parsed, parse_grade, parse_order
from limbeck.teachers.llm.prompts import Template, as_data

BEST = 3


@dataclass(frozen=True)
class Judging:
    """How passages are put before a judge.

    template  the prompt, which asks for grades from 0 to 3
    words     most words of a passage
    attempts  how often a passage is put before the LLM, with another seed each time, until there is a grade
    """

    template: Template
    words: int = 500
    attempts: int = 3

    def __post_init__(self) -> None:
        for name in ("words", "attempts"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 1 or more")

    def describe(self) -> dict[str, Any]:
        """All settings as plain values; the template by name and digest."""
        plain = {"words": self.words, "attempts": self.attempts}
        return {"template": self.template.name, "template_digest": self.template.digest, **plain}


def judge_once(
    query_id: str, docid: str, query: str, passage: str, settings: Judging, client: LLMClient
) -> RetryResult[int]:
    """The grade of one passage; what is no grade is never taken for one. Raises what `client` raises but CallFailed."""
    messages = settings.template.pair(query, passage)

    def ask(attempt: int) -> Parsed[int]:
        answer = client(messages, attempt, {"query": query_id, "docid": docid})
        return parse_grade(answer.text, BEST, answer.finish_reason)

    return until_usable(ask, settings.attempts)


def windows(count: int, size: int, step: int) -> list[tuple[int, int]]:
    """(start, end) of the windows over `count` places, last places first; the last window begins at place 0.

    A good passage at the end is carried to the front by the overlap of `size - step` places (Sun et al. 2023, section
    3.2, arXiv 2304.09542).

    >>> windows(25, 20, 10)
    [(5, 25), (0, 15)]
    """
    if not 1 <= step < size:
        raise UsageError(f"window {size}, step {step}: expected a window of 2 or more and a smaller step of 1 or more")
    found, end = [], count
    while True:
        start = max(0, end - size)
        found.append((start, end))
        if start == 0:
            return found
        end -= step


def merge_orders(orders: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Mean places from the end, [passages], higher is better, of orders that name each passage 0 … n-1 once.

    That is Borda's count. Orders from differently shuffled inputs cancel a model's preference for places (Tang et al.
    2023, arXiv 2310.07712, who take the Kemeny order instead).

    >>> merge_orders([[1, 0, 2], [1, 2, 0]]).tolist()
    [1.5, 3.0, 1.5]
    """
    points = np.zeros((len(orders), len(orders[0])))
    for row, order in zip(points, orders, strict=True):
        row[list(order)] = np.arange(len(order), 0, -1)
    mean: NDArray[np.float64] = points.mean(axis=0)
    return mean


@dataclass(frozen=True)
class Listwise:
    """How passages are put before an LLM.

    template  the prompt
    window    passages in one prompt; `step`: by how many the window moves. 20 and 10 as in the papers
    passes    how often the windows go over all passages, each time over the order that came of the last
    orders    how many times the whole is done; the results are merged
    shuffle   whether the first order is shuffled too, and not the run's own; all further ones always are
    seed      of the shuffles
    words     most words of a passage
    attempts  how often a window is put before the LLM, until its answer is complete. Each time the window begins with
              another passage: asked the same again, a model that takes the likeliest token would repeat itself

    Sources: Sun et al. 2023 (arXiv 2304.09542), Pradeep et al. 2023 (arXiv 2312.02724).
    """

    template: Template
    window: int = 20
    step: int = 10
    passes: int = 1
    orders: int = 1
    shuffle: bool = False
    seed: int = 1
    words: int = 300
    attempts: int = 3

    def __post_init__(self) -> None:
        windows(1, self.window, self.step)
        for name in ("passes", "orders", "words", "attempts"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 1 or more")

    def describe(self) -> dict[str, Any]:
        """All settings as plain values; the template by name and digest."""
        plain = {name: value for name, value in vars(self).items() if name != "template"}
        return {"template": self.template.name, "template_digest": self.template.digest, **plain}


def rank_once(
    query_id: str, query: str, passages: Sequence[str], settings: Listwise, client: LLMClient, number: int
) -> RetryResult[tuple[int, ...]]:
    """One order of a query's passages, the `number`-th, counted from 0: positions counted from 0, best first.

    An answer that is not complete is never taken for an order: a window that gets no other leaves none.

    Raises what `client` raises but CallFailed.
    """
    place = list(range(len(passages)))
    if number or settings.shuffle:
        random.Random(f"{settings.seed}/{query_id}/{number}").shuffle(place)
    found: Counter[str] = Counter()
    calls = 0
    for sweep in range(settings.passes if len(place) > 1 else 0):
        for start, end in windows(len(place), settings.window, settings.step):
            about = {"query": query_id, "order": number, "pass": sweep, "window": [start, end]}
            ask = partial(_rank_window, query, passages, place[start:end], settings, client, about)
            ranked = until_usable(ask, settings.attempts)
            found.update(ranked.defects)
            calls += ranked.calls
            if ranked.value is None:
                return RetryResult(None, found, calls)
            place[start:end] = ranked.value
    return RetryResult(tuple(place), found, calls)


def _rank_window(
    query: str, passages: Sequence[str], shown: Sequence[int], settings: Listwise, client: LLMClient,
    about: Mapping[str, Any], attempt: int,
) -> Parsed[tuple[int, ...]]:  # fmt: skip
    """The passages `shown`, by their positions, in the order of one answer."""
    turn = attempt * max(1, len(shown) // settings.attempts) % len(shown)
    shown = [*shown[turn:], *shown[:turn]]
    answer = client(settings.template.listwise(query, [passages[i] for i in shown]), attempt, about)
    parsed = parse_order(answer.text, len(shown), answer.finish_reason)
    return Parsed(parsed.value and tuple(shown[i] for i in parsed.value), parsed.defects)


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
class Reranker:
    """Puts the queries of a run before an LLM."""

    session: LLMSession
    collection: Collection
    run: Run

    def rank(self, settings: Listwise) -> Orders:
        """Order every query's candidates. A query of which no order was completed is excluded."""
        outcome = Orders()

        def tasks(query_id: str) -> list[Task[RetryResult[tuple[int, ...]]]]:
            query, passages = self._query(query_id), self._passages(query_id, settings.words, outcome)
            ask = partial(rank_once, query_id, query, passages, settings, self.session.client)
            return [partial(ask, number) for number in range(settings.orders)]

        def finish(query_id: str, orders: list[tuple[int, ...] | None]) -> None:
            outcome.orders[query_id] = merge_orders([order for order in orders if order is not None])

        self.session.run(self._described("rank", settings.describe()), list(self.run), outcome, tasks, finish)
        outcome.orders = in_order(outcome.orders, list(self.run))
        return outcome

    def judge(self, settings: Judging) -> Grades:
        """Grade every query's candidates. A query of which no passage got a grade is excluded."""
        outcome = Grades()

        def tasks(query_id: str) -> list[Task[RetryResult[int]]]:
            query, passages = self._query(query_id), self._passages(query_id, settings.words, outcome)
            return [
                partial(judge_once, query_id, docid, query, passage, settings, self.session.client)
                for docid, passage in zip(self.run[query_id].docids, passages, strict=True)
            ]

        def finish(query_id: str, grades: list[int | None]) -> None:
            judged = zip(self.run[query_id].docids, grades, strict=True)
            outcome.grades[query_id] = {docid: grade for docid, grade in judged if grade is not None}

        self.session.run(self._described("judge", settings.describe()), list(self.run), outcome, tasks, finish)
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
        return as_data(self.collection.queries[query_id], markers=self.session.client.engine.markers)[0]

    def _passages(self, query_id: str, words: int, outcome: Outcome) -> list[str]:
        markers = self.session.client.engine.markers
        found = [as_data(self.collection.documents[docid], words, markers) for docid in self.run[query_id].docids]
        outcome.cut += sum(cut for _, cut in found)
        return [text for text, _ in found]
