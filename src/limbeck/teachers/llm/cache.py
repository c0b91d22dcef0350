"""Every call and its answer on disk, so that none is paid for twice."""

import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from limbeck.core.errors import DataError
from limbeck.teachers.journal import Journal, Record, read_journal
from limbeck.teachers.llm.engine import Answer, Call, CallFailed, Usage


class CallStore:
    """The calls of a journal, by the key of their content. Safe for threads.

    Kinds of records: `job` (settings of a command), `call` (a prompt with its answer), `failure` (a call that was not
    answered; it is made again), `outcome` (what became of a query in a job). Keys of endpoints are never among it.
    """

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self._answers: dict[str, Answer] = {}
        self._outcomes: dict[tuple[str, str], Record] = {}
        self._lock = threading.Lock()
        self.found = 0  # calls that were answered from here
        self.made = 0  # calls that were added
        self._prompt_tokens = self._completion_tokens = 0
        try:
            for number, record in enumerate(read_journal(path), 1):
                try:
                    self._take(record)
                except (KeyError, TypeError) as error:
                    raise DataError(
                        f"{path}:{number}: no record of a store of calls ({error!r}); name the file that `limbeck "
                        "teach` wrote, or remove the line: what it held is asked for again"
                    ) from None
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

    def add(self, call: Call, answer: Answer, place: str) -> None:
        """Keep an answer."""
        record = {"kind": "call", **_described(call, place), **asdict(answer)}
        self._append(record)
        with self._lock:
            self.made += 1

    def add_failure(self, call: Call, failure: CallFailed, place: str) -> None:
        """Note that a call got no answer."""
        self._append(
            {"kind": "failure", **_described(call, place), "error": str(failure), "lost_tries": failure.lost_tries}
        )

    def add_job(self, job: str, settings: Mapping[str, Any]) -> None:
        """Note what a command is about to do."""
        self._append({"kind": "job", "job": job, "at": _now(), **settings})

    def add_outcome(self, job: str, query_id: str, outcome: Mapping[str, Any]) -> None:
        """Note what became of a query, unless the same stands there already."""
        record = {"kind": "outcome", "job": job, "query": query_id, **outcome}
        if self._outcomes.get((job, query_id)) != record:
            self._append(record)

    def _append(self, record: Record) -> None:
        self.journal.append(record)
        with self._lock:
            self._take(record)

    def _take(self, record: Record) -> None:
        if record["kind"] == "call":
            self._answers[record["key"]] = _answer(record)
        if record["kind"] == "outcome":
            self._outcomes[record["job"], record["query"]] = record
        prompt, completion = charged(record)
        self._prompt_tokens += prompt
        self._completion_tokens += completion


def charged(record: Record) -> tuple[int, int]:
    """Tokens (prompt, answer) that a record stands for: the most they may have been, where nobody said."""
    if record["kind"] not in ("call", "failure"):
        return 0, 0
    usage, guessed = record.get("usage"), record["lost_tries"]
    if usage is None:
        guessed += record["kind"] == "call"
        usage = {"prompt_tokens": 0, "completion_tokens": 0}
    most_of_answer = record["output_bound"]
    most_of_prompt = record["token_bound"] - most_of_answer
    return usage["prompt_tokens"] + guessed * most_of_prompt, usage["completion_tokens"] + guessed * most_of_answer


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


def _answer(record: Record) -> Answer:
    usage = record["usage"]
    return Answer(
        record["text"], record["finish_reason"], usage and Usage(**usage), record["served_by"], record["seconds"],
        record["tries"], record["lost_tries"],
    )  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
