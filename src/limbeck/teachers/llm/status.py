"""What a store of calls holds: progress, cost and defects."""

from collections import Counter
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from limbeck.core.errors import DataError
from limbeck.teachers.journal import Record, read_journal
from limbeck.teachers.llm.budget import Prices
from limbeck.teachers.llm.cache import charged


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
    for number, record in enumerate(read_journal(path), 1):
        try:
            if record["kind"] == "job" and any(record["prices"].values()):
                prices = Prices(**record["prices"])
            if record["kind"] not in ("call", "failure") or record["model"] != model:
                continue
            if record["about"].get("query") not in queries:
                continue
            spent.calls += record["kind"] == "call"
            spent.failed += record["kind"] == "failure"
            spent.seconds += record.get("seconds", 0.0)
            charge = charged(record)
        except (KeyError, TypeError) as error:
            raise _no_store(path, number, error) from None
        prompt, completion = prompt + charge[0], completion + charge[1]
    spent.tokens = prompt + completion
    spent.money = None if prices is None else prices.of(prompt, completion)
    return spent


def read_status(path: Path) -> StoreStatus:
    """The status of a store, which another process may be writing to. Raises what `read_journal` raises."""
    jobs: dict[str, JobStatus] = {}
    outcomes: dict[tuple[str, str], Record] = {}
    status = StoreStatus(str(path), [])
    prices: Prices | None = None
    for number, record in enumerate(read_journal(path), 1):
        try:
            kind = record["kind"]
            if kind == "job":
                jobs[record["job"]] = _job(record)
                if any(record["prices"].values()):
                    prices = Prices(**record["prices"])
            elif kind == "outcome":
                outcomes[record["job"], record["query"]] = record
            elif kind == "failure":
                status.last_failure = record["error"]
                status.failures[status.last_failure.split(":")[0].split(";")[0]] += 1
                status.guessed += record["lost_tries"] > 0
            elif kind == "call":
                status.calls += 1
                status.guessed += record["usage"] is None or record["lost_tries"] > 0
                status.seconds += record["seconds"]
            prompt, completion = charged(record)
        except (KeyError, TypeError) as error:
            raise _no_store(path, number, error) from None
        status.prompt_tokens += prompt
        status.completion_tokens += completion
    for (job, _), record in outcomes.items():
        if job not in jobs:  # its line was removed, as a damaged one is to be
            continue
        jobs[job].done += record["status"] == "done"
        jobs[job].excluded += record["status"] == "excluded"
        jobs[job].answers += record["answers"]
        jobs[job].defects.update(record["defects"])
    status.jobs = list(jobs.values())
    status.cost = None if prices is None else prices.of(status.prompt_tokens, status.completion_tokens)
    with path.open("rb") as stream:
        stream.seek(-1 if path.stat().st_size else 0, 2)
        status.half_written = stream.read(1) not in (b"\n", b"")
    return status


def _job(record: Record) -> JobStatus:
    facts = {name: record[name] for name in ("job", "task", "model", "collection", "run", "queries")}
    settings = {name: value for name, value in record.items() if name not in {"kind", *facts}}
    return JobStatus(**facts, settings=settings)


def _no_store(path: Path, number: int, error: Exception) -> DataError:
    """What a line is refused with that is no record of calls."""
    return DataError(
        f"{path}:{number}: no record of a store of calls ({error!r}); name the file that `limbeck teach` wrote"
    )
