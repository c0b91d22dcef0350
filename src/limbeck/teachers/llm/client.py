"""Asking again until an answer is usable."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from limbeck.teachers.llm.budget import Budget
from limbeck.teachers.llm.cache import CallStore
from limbeck.teachers.llm.engine import Answer, Call, CallFailed, Engine, Stopped
from limbeck.teachers.llm.parsing import FAILED, Parsed
from limbeck.teachers.llm.prompts import Message

Value = TypeVar("Value")


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
        call = Call(self.engine.model, self.engine.revision, parameters, tuple(messages), attempt, about)
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
