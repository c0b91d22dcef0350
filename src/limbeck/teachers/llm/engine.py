"""A call to an LLM, what answers calls, and its answer, which is read strictly: what is not complete gives none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

from limbeck.core.errors import UsageError, one_line
from limbeck.core.json_files import key_of
from limbeck.teachers.llm.prompts import Message

MOST_TOKENS = 10_000_000
"""That a call is believed to have taken, of prompt or answer: no context window comes near it."""


@dataclass(frozen=True)
class Call:
    """One prompt as an engine gets it.

    model, revision  what is to answer, as its engine names it
    parameters       every sampling parameter, as sent
    messages         the chat
    attempt          0, or how often the same was asked for in vain before
    about            what it is for (query, window, …); no part of the key
    """

    model: str
    revision: str
    parameters: Mapping[str, Any]
    messages: tuple[Message, ...]
    attempt: int
    about: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """32 hex digits of SHA-256 over all that can change the answer."""
        content = [self.model, self.revision, dict(self.parameters), list(self.messages), self.attempt]
        return key_of(content, 32)

    @cached_property
    def token_bound(self) -> int:
        """Tokens that it may cost at most: no tokeniser in use makes more tokens than bytes of a text."""
        prompt = sum(len(message["content"].encode()) + 16 for message in self.messages)
        return 256 + prompt + self.output_bound

    @property
    def output_bound(self) -> int:
        """Tokens that its answer may have. UsageError where no parameter bounds them."""
        named = [self.parameters.get(name) for name in ("max_tokens", "max_completion_tokens")]
        bounds = [bound for bound in named if isinstance(bound, int) and bound > 0]
        if not bounds:
            raise UsageError(
                "parameters: no bound of an answer's tokens, expected max_tokens or max_completion_tokens; without one "
                "nobody knows what a call may cost"
            )
        return max(bounds)


@dataclass(frozen=True)
class Usage:
    """Tokens that a call was charged for."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Answer:
    """What an engine answered.

    usage       None where the engine does not say
    served_by   what the engine says of itself: the model's exact name, its fingerprint
    tries       how often it was sent until it was answered
    lost_tries  how many of these may have been answered, and charged, without the answer arriving
    """

    text: str
    finish_reason: str | None
    usage: Usage | None
    served_by: str = ""
    seconds: float = 0.0
    tries: int = 1
    lost_tries: int = 0


class CallFailed(Exception):
    """An engine gave no answer to one call; others may go better. The text says why.

    `lost_tries`: how many tries may have been charged all the same. `refused`: the engine is there, and refuses
    what is asked: it is too long, say, or a filter holds it back.
    """

    def __init__(self, text: str, lost_tries: int = 0, refused: bool = False) -> None:
        super().__init__(text)
        self.lost_tries = lost_tries
        self.refused = refused


class Stopped(Exception):
    """No further call is to be made: the budget is spent, or nothing answers. The text says which."""


class Engine(Protocol):
    """What answers calls."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def revision(self) -> str:
        """What tells its weights from others of that name; empty where nobody says."""

    @property
    def place(self) -> str:
        """Where it runs: an endpoint's address, or "in process"."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every sampling parameter."""

    @property
    def markers(self) -> frozenset[str]:
        """Special tokens of its prompts, as far as they are known."""

    def answer(self, call: Call) -> Answer:
        """Answer a call. Raises CallFailed, or a LimbeckError where no call could be answered."""


REFUSAL, REPEATED, MISSING, INVENTED, UNORDERED, TOO_LONG, TRUNCATED, FAILED = (
    "refusal", "repeated", "missing", "invented", "unordered", "too long", "truncated", "call failed",
)  # fmt: skip
MOST_WORDS = 64
"""Of a query: more is a passage."""
DEFECTS = {
    REFUSAL: "no identifier, grade or query in the answer",
    REPEATED: "an identifier twice, or several grades or queries",
    MISSING: "an identifier of the window is not in the answer",
    INVENTED: "an identifier or grade that was not offered",
    UNORDERED: "identifiers that are not joined by >",
    TOO_LONG: f"a query of more than {MOST_WORDS} words",
    TRUNCATED: "the answer ended at the token limit",
    FAILED: "the engine gave no answer",
}
"""What may be wrong with an answer, and what each means."""

_IDENTIFIER = re.compile(r"\[(\d{1,9})\]")
_JOINED = re.compile(r"\s*>\s*")
_THOUGHT = re.compile(r"\A.*</think>", re.DOTALL)  # some chat formats open it in the prompt
_GRADE = re.compile(r"##\s*final score:\s*(-?\d{1,9})\b(?![.,/-]\d)", re.IGNORECASE)  # 2, not 2.5 or 2/3
_QUERY = re.compile(r"^##[ \t]*query:[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)


Value = TypeVar("Value")


@dataclass(frozen=True)
class Parsed(Generic[Value]):
    """What an answer holds, or None and what is wrong with it."""

    value: Value | None
    defects: tuple[str, ...] = ()


def parse_order(text: str, count: int, finish_reason: str | None = "stop") -> Parsed[tuple[int, ...]]:
    """The order in an answer such as `[2] > [1]`: positions counted from 0, best first.

    Every identifier from 1 to `count` must be there once, joined by `>`; words before and after are let pass, a second
    mention is not. A model that repeats the passages gives identifiers that are not joined: no order.

    >>> parse_order("[2] > [3] > [1]", 3).value
    (1, 2, 0)
    >>> parse_order("I cannot rank these.", 3)
    Parsed(value=None, defects=('refusal',))
    """
    text = _THOUGHT.sub("", text)
    found = list(_IDENTIFIER.finditer(text))
    numbers = [int(match[1]) for match in found]
    gaps = [text[a.end() : b.start()] for a, b in pairwise(found)]
    offered = set(range(1, count + 1))
    checks = {
        TRUNCATED: finish_reason == "length",
        REFUSAL: not numbers,
        REPEATED: len(set(numbers)) < len(numbers),
        MISSING: bool(numbers) and not offered <= set(numbers),
        INVENTED: not set(numbers) <= offered,
        UNORDERED: not all(_JOINED.fullmatch(gap) for gap in gaps),
    }
    defects = tuple(name for name, applies in checks.items() if applies)
    return Parsed(None, defects) if defects else Parsed(tuple(number - 1 for number in numbers))


def parse_grade(text: str, best: int = 3, finish_reason: str | None = "stop") -> Parsed[int]:
    """The grade in an answer such as `##final score: 2`, or one that is nothing but the grade; whole numbers only.

    >>> parse_grade("##final score: 2").value
    2
    >>> parse_grade("##final score: 7").defects
    ('invented',)
    """
    text = _THOUGHT.sub("", text)
    bare = text.strip()
    numbers = [int(bare)] if re.fullmatch(r"\d{1,9}", bare) else [int(number) for number in _GRADE.findall(text)]
    if finish_reason == "length":
        return Parsed(None, (TRUNCATED,))
    if not numbers:
        return Parsed(None, (REFUSAL,))
    if len(set(numbers)) > 1:
        return Parsed(None, (REPEATED,))
    if not 0 <= numbers[0] <= best:
        return Parsed(None, (INVENTED,))
    return Parsed(numbers[0])


def parse_query(text: str, finish_reason: str | None = "stop") -> Parsed[str]:
    """The query in an answer such as `##query: how to clean copper`; what bears no such mark is none.

    >>> parse_query("##query: how to clean copper").value
    'how to clean copper'
    >>> parse_query("I cannot help with that.").defects
    ('refusal',)
    """
    found = dict.fromkeys(match.strip("\"'“”` ") for match in _QUERY.findall(_THOUGHT.sub("", text)))
    queries = [one_line(query) for query in found if any(map(str.isalnum, query))]
    if finish_reason == "length":
        return Parsed(None, (TRUNCATED,))
    if not queries:
        return Parsed(None, (REFUSAL,))
    if len(queries) > 1:
        return Parsed(None, (REPEATED,))
    if len(queries[0].split()) > MOST_WORDS:
        return Parsed(None, (TOO_LONG,))
    return Parsed(queries[0])
