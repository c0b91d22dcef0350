"""Asking an LLM: within a budget of tokens or money, and again until an answer is usable."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from limbeck.core.errors import UsageError
from limbeck.teachers.llm.cache import CallStore
from limbeck.teachers.llm.engine import FAILED, Answer, Call, CallFailed, Engine, Parsed, Stopped
from limbeck.teachers.llm.prompts import Message

MILLION = 1_000_000


class BudgetSpent(Stopped):
    """Another call could break the cap."""


@dataclass(frozen=True)
class Prices:
    """Money for a million tokens of prompts and of answers, in whatever currency; 0 where nobody said."""

    prompt: float = 0.0
    completion: float = 0.0

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Money for so many tokens."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / MILLION


@dataclass(frozen=True)
class Cap:
    """The most that all calls of a store may cost together; None: no cap. UsageError for money without prices."""

    tokens: int | None = None
    money: float | None = None
    prices: Prices = Prices()

    def __post_init__(self) -> None:
        if self.money is not None and not (self.prices.prompt or self.prices.completion):
            raise UsageError("a budget in money needs prices: --price-in and --price-out, for a million tokens each")

    def allows(self, prompt_tokens: int, completion_tokens: int) -> bool:
        """Whether so much may be spent."""
        return (self.tokens is None or prompt_tokens + completion_tokens <= self.tokens) and (
            self.money is None or self.prices.of(prompt_tokens, completion_tokens) <= self.money
        )

    def __str__(self) -> str:
        caps = [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        return " or ".join(caps + ([f"{self.money:g} in money"] if self.money is not None else []))


class Budget:
    """Lets a call begin only if the cap holds even if this call, and all that are under way, cost the most they can.

    A try whose answer is lost on the way, and that is sent again, counts once the call is over: by so much, calls that
    are then under way may go beyond the cap.
    """

    def __init__(self, cap: Cap) -> None:
        self.cap = cap
        self._under_way: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def reserved(self, call: Call, spent: Callable[[], tuple[int, int]]) -> Iterator[None]:
        """Hold what `call` may cost, beside the tokens that are `spent` on prompts and answers.

        BudgetSpent where the cap forbids it.
        """
        bound = (call.token_bound - call.output_bound, call.output_bound)
        with self._lock:
            used = spent()
            parts = [used, bound, *self._under_way.values()]
            if not self.cap.allows(sum(part[0] for part in parts), sum(part[1] for part in parts)):
                raise BudgetSpent(
                    f"the budget of {self.cap} does not allow another call, which may take up to {call.token_bound:,} "
                    f"tokens; {sum(used):,} are spent"
                )
            self._under_way[id(call)] = bound
        try:
            yield
        finally:
            with self._lock:
                del self._under_way[id(call)]


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
