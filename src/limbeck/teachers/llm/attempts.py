"""Asking again until an answer is usable."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from limbeck.teachers.llm.answers import FAILED, Parsed
from limbeck.teachers.llm.call import CallFailed

Value = TypeVar("Value")


@dataclass(frozen=True)
class Attempts(Generic[Value]):
    """What came of asking.

    value    what the first usable answer held; None where there was none: no answer is ever made up
    defects  how many answers had which defect, those included that a further attempt mended
    calls    how often it was asked
    """

    value: Value | None
    defects: Counter[str]
    calls: int


def until_usable(ask: Callable[[int], Parsed[Value]], attempts: int) -> Attempts[Value]:
    """Ask at most `attempts` times; `ask` gets how often it was asked in vain before, and reads the answer.

    A call that failed is the last one: its engine has tried it again already. Raises what `ask` raises but CallFailed.
    """
    found: Counter[str] = Counter()
    for attempt in range(attempts):
        try:
            parsed = ask(attempt)
        except CallFailed:
            found[FAILED] += 1
            return Attempts(None, found, attempt + 1)
        found.update(parsed.defects)
        if parsed.value is not None:
            return Attempts(parsed.value, found, attempt + 1)
    return Attempts(None, found, attempts)
