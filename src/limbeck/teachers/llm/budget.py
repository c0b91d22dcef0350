"""A cap on what calls may cost, in tokens or in money."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from limbeck.core.errors import UsageError
from limbeck.teachers.llm.engine import Call, Stopped

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
