"""Every call and its answer on disk, so that none is paid for twice; and a budget for all of them together."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from limbeck.core.errors import UsageError
from limbeck.teachers.journal import Journal, Record, read_records
from limbeck.teachers.llm.engine import MOST_TOKENS, Answer, Call, CallFailed, Stopped, Usage

Count = Annotated[int, Field(ge=0, le=10**12)]
Amount = Annotated[float, Field(ge=0, le=1e12)]
Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class PricesRecord(_Record):
    """Money for a million tokens."""

    prompt: Amount
    completion: Amount


class JobRecord(_Record):
    """What a command was about to do; beside these, its settings."""

    model_config = ConfigDict(extra="allow")

    kind: Literal["job"]
    job: str
    task: str
    model: str
    collection: str
    run: str
    queries: Count
    prices: PricesRecord


class OutcomeRecord(_Record):
    """What became of a query, or a document, in a job."""

    kind: Literal["outcome"]
    job: str
    query: str
    status: str
    usable: Count
    of: Count
    answers: Count
    defects: dict[str, Count]


class UsageRecord(_Record):
    """Tokens that an engine says a call took."""

    prompt_tokens: Tokens
    completion_tokens: Tokens


class _Tried(_Record):
    """A call that was made."""

    key: str
    about: dict[str, Any]
    model: str
    token_bound: Count
    output_bound: Count
    lost_tries: Count

    @property
    def unknown_tries(self) -> int:
        """Tries of which nobody said what they took."""
        return self.lost_tries

    @property
    def charged(self) -> tuple[int, int]:
        """Tokens of prompt and answer that it stands for: the most they may have been, where nobody said."""
        return self.unknown_tries * (self.token_bound - self.output_bound), self.unknown_tries * self.output_bound


class FailureRecord(_Tried):
    """A call that was not answered; it is made again."""

    kind: Literal["failure"]
    error: str


class CallRecord(_Tried):
    """A prompt with its answer."""

    kind: Literal["call"]
    text: str
    finish_reason: str | None
    usage: UsageRecord | None
    served_by: str
    seconds: Amount
    tries: Count

    @property
    def unknown_tries(self) -> int:
        """Tries of which nobody said what they took."""
        return self.lost_tries + (self.usage is None)

    @property
    def charged(self) -> tuple[int, int]:
        """Tokens of prompt and answer that it stands for: the most they may have been, where nobody said."""
        prompt, completion = super().charged
        usage = self.usage or Usage(0, 0)
        return prompt + usage.prompt_tokens, completion + usage.completion_tokens

    @property
    def answer(self) -> Answer:
        """The answer as the engine gave it."""
        usage = Usage(self.usage.prompt_tokens, self.usage.completion_tokens) if self.usage else None
        return Answer(
            self.text, self.finish_reason, usage, self.served_by, self.seconds, self.tries, self.lost_tries
        )  # fmt: skip


AnyRecord = Annotated[JobRecord | OutcomeRecord | FailureRecord | CallRecord, Field(discriminator="kind")]
_SCHEMA: TypeAdapter[JobRecord | OutcomeRecord | FailureRecord | CallRecord] = TypeAdapter(AnyRecord)


def read_calls(path: Path) -> Iterator[JobRecord | OutcomeRecord | FailureRecord | CallRecord]:
    """The records of a store of calls, oldest first. Raises what `read_records` raises."""
    return read_records(path, _SCHEMA, "a store of calls")


class CallStore:
    """The calls of a journal, by the key of their content. Safe for threads.

    Keys of endpoints are never among its records.
    """

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self._answers: dict[str, Answer] = {}
        self._outcomes: dict[tuple[str, str], OutcomeRecord] = {}
        self._lock = threading.Lock()
        self.found = 0  # calls that were answered from here
        self.made = 0  # calls that were added
        self._prompt_tokens = self._completion_tokens = 0
        try:
            for record in read_calls(path):
                self._take(record)
        except BaseException:
            self.journal.close()
            raise

    def __enter__(self) -> "CallStore":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.journal.close()

    def spent(self) -> tuple[int, int]:
        """Tokens of prompts and of answers of every call in the journal, those that are charged by guess included."""
        with self._lock:
            return self._prompt_tokens, self._completion_tokens

    def find(self, call: Call) -> Answer | None:
        """The answer to an equal call, if there is one."""
        with self._lock:
            answer = self._answers.get(call.key)
            self.found += answer is not None
        return answer

    @contextmanager
    def reserved(self, call: Call) -> Iterator[None]:
        """Hold room on the disk for the answer to a call. MissingError where there is none: it is not to be made."""
        with self.journal.reserved(_size(call)):
            yield

    def add(self, call: Call, answer: Answer, place: str) -> None:
        """Keep an answer, in the room that was reserved for it."""
        self._append({"kind": "call", **_described(call, place), **asdict(answer)}, _size(call))
        with self._lock:
            self.made += 1

    def add_failure(self, call: Call, failure: CallFailed, place: str) -> None:
        """Note that a call got no answer."""
        record = {"kind": "failure", **_described(call, place), "error": str(failure), "lost_tries": failure.lost_tries}
        self._append(record, _size(call))

    def add_job(self, job: str, settings: Mapping[str, Any]) -> None:
        """Note what a command is about to do."""
        self._append({"kind": "job", "job": job, "at": _now(), **settings})

    def add_outcome(self, job: str, query_id: str, outcome: Mapping[str, Any]) -> None:
        """Note what became of a query, unless the same stands there already."""
        record = {"kind": "outcome", "job": job, "query": query_id, **outcome}
        if self._outcomes.get((job, query_id)) != _SCHEMA.validate_python(record):
            self._append(record)

    def _append(self, record: Record, own: int = 0) -> None:
        taken = _SCHEMA.validate_python(record)  # first: what could not be read again must not be written
        self.journal.append(record, own)
        with self._lock:
            self._take(taken)

    def _take(self, record: JobRecord | OutcomeRecord | FailureRecord | CallRecord) -> None:
        if isinstance(record, OutcomeRecord):
            self._outcomes[record.job, record.query] = record
        elif isinstance(record, CallRecord | FailureRecord):
            if isinstance(record, CallRecord):
                self._answers[record.key] = record.answer
            prompt, completion = record.charged
            self._prompt_tokens += prompt
            self._completion_tokens += completion


def _size(call: Call) -> int:
    """Bytes that the record of a call and its answer takes on disk, if the answer is no longer than was asked for."""
    prompt = sum(len(message["content"].encode()) for message in call.messages)
    return 16_384 + 2 * prompt + 16 * call.output_bound


def _described(call: Call, place: str) -> Record:
    return {
        "key": call.key,
        "at": _now(),
        "about": dict(call.about),
        "place": place,
        "model": call.model,
        "revision": call.revision,
        "parameters": dict(call.parameters),
        "attempt": call.attempt,
        "messages": list(call.messages),
        "token_bound": call.token_bound,
        "output_bound": call.output_bound,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
