"""A call to an LLM, its answer, and what may become of it instead of one; and what answers calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from limbeck.core.errors import UsageError
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
