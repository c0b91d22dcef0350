"""A study's teachers at work: scores or orders of candidates; what was paid for in time or money is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError, MissingError
from limbeck.core.hashing import key_of
from limbeck.runs import Run
from limbeck.study.config.resolver import Sources
from limbeck.study.run.store import Store
from limbeck.teachers import BiEncoder, biencoder_scores, ensemble_scores
from limbeck.teachers.llm import Reranker, described


@dataclass(frozen=True)
class Scored:
    """Query id → scores [candidates]; the teacher's name, and what lists' metadata say of it."""

    scores: Mapping[str, NDArray[np.floating[Any]]]
    name: str
    details: dict[str, str]


@dataclass(frozen=True)
class Ordered:
    """Query id → mean places from the end [candidates] of the queries that were answered; the rest as of Scored."""

    orders: Mapping[str, NDArray[np.float64]]
    name: str
    details: dict[str, str]


def teacher_scores(
    sources: Sources, store: Store, teacher: str, collection: Collection, candidates: Run, console: Console
) -> Scored:
    """The scores of a bi-encoder or an ensemble. It is loaded anew, and takes no memory from what is trained later."""
    of = sources.config.teachers[teacher]
    if of.biencoder:
        encoder = BiEncoder.load(sources.model_name(of.biencoder))
        details = {"teacher_version": encoder.version, "teacher_scale": repr(of.scale)}
        scores = biencoder_scores(encoder, collection, candidates, of.scale, console)
        return Scored(scores, encoder.name, details)
    members = [sources.model_name(model) for model in of.ensemble]
    found = ensemble_scores(
        members, collection, candidates, store.teachers, of.combine, max_length=of.max_length, console=console
    )
    details = {"teacher_version": " + ".join(found.versions.values()), "combine": of.combine}
    return Scored(found.scores, " + ".join(found.versions), details)


def teacher_orders(
    sources: Sources, store: Store, teacher: str, collection: Collection, candidates: Run, console: Console
) -> Ordered:
    """The orders of an LLM. Its calls are kept: run again, the study goes on and pays for none twice.

    Queries without a usable answer are left out, and said. MissingError where calls ended early, as when the budget is
    spent; DataError where no answer was usable.
    """
    service, settings = sources.service(teacher), sources.listwise(teacher)
    calls = store.teachers / f"{key_of(sources.teacher(teacher))}.calls.jsonl"

    def warn(text: str) -> None:
        console.print(f"teacher {teacher}: {text}", highlight=False, markup=False, soft_wrap=True)

    with service.work(calls, console, warn) as work:
        outcome = Reranker(work, collection, candidates).rank(settings)
        details = described(work, outcome, settings.describe())
    if outcome.stopped:
        raise MissingError(
            f"teacher {teacher}: stopped: {outcome.stopped}; {len(outcome.unfinished)} queries are left, the same "
            f"command goes on from the calls in {calls}"
        )
    if not outcome.orders:
        raise DataError(f"teacher {teacher}: no answer was usable; look at them in {calls}")
    if outcome.excluded:
        warn(f"{len(outcome.excluded)} queries are left out, as no usable answer came")
    return Ordered(outcome.orders, service.model, details)
