"""What a store of calls holds: progress, cost and defects."""

from collections import Counter
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from limbeck.core.errors import DataError
from limbeck.teachers.journal import Record
from limbeck.teachers.llm.cache import CallRecord, FailureRecord, JobRecord, OutcomeRecord, Prices, read_calls


@dataclass
class JobStatus:
    """Where a job stands. `defects`: how many answers had which one, of the queries that were come to the end of."""

    job: str
    task: str
    model: str
    collection: str
    run: str
    queries: int
    settings: Record = field(repr=False)
    done: int = 0
    excluded: int = 0
    answers: int = 0
    defects: Counter[str] = field(default_factory=Counter)


@dataclass
class StoreStatus:
    """A store's calls and jobs. Tokens include those of calls that failed but may have been charged.

    guessed      calls of which a try's tokens are not known, so that the most they may have been is counted
    cost         by the prices of the last job that named some; None where none did
    last_failure why the last call that was not answered was not; empty where all were
    half_written whether the last record is not whole, as a killed process leaves it; the next command removes it
    """

    path: str
    jobs: list[JobStatus]
    calls: int = 0
    guessed: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cost: float | None = None
    last_failure: str = ""
    half_written: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass
class Spent:
    """What a model's calls for some queries took. Tokens are those that are charged, those of failed calls included.

    calls    answered ones
    failed   calls that got no answer in the end; answers that could not be used are no such ones
    money    by the prices of the store's last job that named some; None where none did
    seconds  of answering, one call after the other
    """

    queries: int
    calls: int = 0
    failed: int = 0
    tokens: int = 0
    money: float | None = None
    seconds: float = 0.0


def read_spent(path: Path, model: str, queries: Container[str], count: int) -> Spent:
    """What `model` took for `queries`, `count` of them, in a store of calls. Raises what `read_journal` raises."""
    spent, prompt, completion = Spent(count), 0, 0
    prices: Prices | None = None
    for record in read_calls(path):
        if isinstance(record, JobRecord):
            prices = _prices(record) or prices
        elif isinstance(record, CallRecord | FailureRecord) and record.model == model:
            if record.about.get("query") not in queries:
                continue
            spent.calls += record.kind == "call"
            spent.failed += record.kind == "failure"
            spent.seconds += record.seconds if isinstance(record, CallRecord) else 0.0
            charge = record.charged
            prompt, completion = prompt + charge[0], completion + charge[1]
    spent.tokens = prompt + completion
    spent.money = None if prices is None else prices.of(prompt, completion)
    return spent


def read_status(path: Path) -> StoreStatus:
    """The status of a store, which another process may be writing to. Raises what `read_journal` raises."""
    _expect_calls(path)
    jobs: dict[str, JobStatus] = {}
    outcomes: dict[tuple[str, str], OutcomeRecord] = {}
    status = StoreStatus(str(path), [])
    prices: Prices | None = None
    for record in read_calls(path):
        if isinstance(record, JobRecord):
            jobs[record.job] = _job(record)
            prices = _prices(record) or prices
        elif isinstance(record, OutcomeRecord):
            outcomes[record.job, record.query] = record
        else:
            if isinstance(record, FailureRecord):
                status.last_failure = record.error
                status.failures[record.error.split(":")[0].split(";")[0]] += 1
            else:
                status.calls += 1
                status.seconds += record.seconds
            status.guessed += record.unknown_tries > 0
            prompt, completion = record.charged
            status.prompt_tokens += prompt
            status.completion_tokens += completion
    for (job, _), outcome in outcomes.items():
        if job not in jobs:  # its line was removed, as a damaged one is to be
            continue
        jobs[job].done += outcome.status == "done"
        jobs[job].excluded += outcome.status == "excluded"
        jobs[job].answers += outcome.answers
        jobs[job].defects.update(outcome.defects)
    status.jobs = list(jobs.values())
    status.cost = None if prices is None else prices.of(status.prompt_tokens, status.completion_tokens)
    with path.open("rb") as stream:
        stream.seek(-1 if path.stat().st_size else 0, 2)
        status.half_written = stream.read(1) not in (b"\n", b"")
    return status


def _expect_calls(path: Path) -> None:
    """DataError for lists in the place of the calls that they were made of."""
    if not path.is_file():
        return
    with path.open("rb") as stream:
        if stream.read(4) == b"PAR1":
            calls = path.with_suffix(".calls.jsonl")
            there = f"the calls beside it are in {calls}" if calls.is_file() else f"they are kept beside it, as {calls}"
            raise DataError(f"{path}: is Parquet, lists it seems, expected the calls that they were made of: {there}")


def _prices(record: JobRecord) -> Prices | None:
    """The prices that a job named, if it did."""
    found = record.prices
    return Prices(found.prompt, found.completion) if found.prompt or found.completion else None


def _job(record: JobRecord) -> JobStatus:
    facts = {name: getattr(record, name) for name in ("job", "task", "model", "collection", "run", "queries")}
    return JobStatus(**facts, settings=dict(record.model_extra or {}))
