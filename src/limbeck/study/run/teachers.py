"""A study's teachers at work; what was paid for in time or money is kept."""

from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError, MissingError
from limbeck.core.hashing import key_of
from limbeck.runs import Run
from limbeck.study.config.resolver import Sources
from limbeck.study.run.store import Store
from limbeck.teachers.kinds import Taught, Workplace


def teach(
    sources: Sources, store: Store, name: str, collection: Collection, candidates: Run, console: Console
) -> Taught:
    """What a teacher gives of candidates. It is loaded anew, and takes no memory from what is trained later.

    Calls of an LLM are kept: run again, the study goes on and pays for none twice. Queries without a usable answer are
    left out, and said. MissingError where calls ended early, as when the budget is spent; DataError where no answer was
    usable.
    """
    calls = store.teachers / f"{key_of(sources.teacher(name))}.calls.jsonl"

    def warn(text: str) -> None:
        console.print(f"teacher {name}: {text}", highlight=False, markup=False, soft_wrap=True)

    place = Workplace(store.teachers, calls, console, warn, sources)
    taught = sources.config.teachers[name].declared.teach(collection, candidates, place)
    if taught.outcome is None:
        return taught
    if taught.outcome.stopped:
        raise MissingError(
            f"teacher {name}: stopped: {taught.outcome.stopped}; {len(taught.outcome.unfinished)} queries are left, "
            f"the same command goes on from the calls in {calls}"
        )
    if not taught.signals:
        raise DataError(f"teacher {name}: no answer was usable; look at them in {calls}")
    if taught.outcome.excluded:
        warn(f"{len(taught.outcome.excluded)} queries are left out, as no usable answer came")
    return taught
