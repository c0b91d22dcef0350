"""Effectiveness of a run on a collection, per query, with the measures of ir_measures."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ir_measures
import numpy as np

from limbeck.collections import Collection, suites
from limbeck.collections.qrels import grade_fault
from limbeck.collections.text_files import id_fault
from limbeck.core.errors import DataError, UsageError, html_table, nearest, plural
from limbeck.runs import Ranking, Run

EXAMPLES = "nDCG@10, RR@10, AP, Success@5, R@100, P@10"


EXCLUDED = -100
"""The grade of a passage that is neither right nor wrong for a query, such as the one it was made from (BRIGHT)."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What a run is worth on a collection, and how complete it is.

    Attributes:
        collection: the collection's name.
        run: the run's name.
        measures: names as ir_measures prints them (`RR@10` for `MRR@10`), each once, in the order asked for.
        values: measure → query id → value, for every judged query; 0 for those without candidates.
        queries: number of judged queries, over which means are taken.
        scored: number of these for which the run has candidates.
        missing: the others.
        short: scored queries with fewer candidates than the deepest cut-off, or than most queries of the run have.
        unjudged_queries: number of the run's queries without judgments; they count for nothing.
        relevance_level: the smallest grade that counted as relevant in `binary` measures.
        binary: those of the measures that the collection's relevance level decides.
        own_document_removed: whether each query's own document was removed from its ranking.
        float32_ties: number of scored queries whose candidates trec_eval would order otherwise: it keeps scores as
            32-bit floats, so that some which differ here tie there, and are ordered by docid.
    """

    collection: str
    run: str
    measures: tuple[str, ...]
    values: dict[str, dict[str, float]] = field(repr=False)
    queries: int
    scored: int
    missing: tuple[str, ...] = field(repr=False)
    short: tuple[str, ...] = field(repr=False)
    unjudged_queries: int
    relevance_level: int
    binary: tuple[str, ...]
    own_document_removed: bool
    float32_ties: int

    def __repr__(self) -> str:
        means = ", ".join(f"{name}={self.mean(name):.4f}" for name in self.measures)
        return f"Evaluation({self.run} on {self.collection}: {means}; {plural(self.queries, 'query')})"

    def _repr_html_(self) -> str:
        rows = [[name, f"{self.mean(name):.4f}"] for name in self.measures]
        counts = f"{self.queries} judged queries, {self.scored} with candidates"
        return html_table(["measure", "mean"], rows, f"{self.run} on {self.collection}: {counts}")

    def mean(self, measure: str) -> float:
        """Mean over all judged queries. UsageError for a measure that was not taken."""
        name = canonical(measure)
        if name not in self.values:
            raise UsageError(f"{name} was not measured; there are {', '.join(self.measures)}")
        return math.fsum(self.values[name].values()) / self.queries


def measure_run(collection: Collection, run: Run, measures: Sequence[str]) -> Evaluation:
    """Measure a run: nDCG with the grades as gains (trec_eval's), binary measures at the collection's relevance level.

    Every judged query counts, those without a relevant document too. A measure that states its own level, such as
    `P(rel=2)@10`, keeps it. The query's own document is removed where the collection says so.

    Raises UsageError for a measure that is unknown, malformed or cannot be computed here, and DataError for a
    collection without judgments or with ones that measures cannot take, a run without any judged query, and a query
    with a relevant document for which a measure's provider gives no value.
    """
    parsed = {str(measure): measure for measure in map(_parse, measures)}
    if not parsed:
        raise UsageError(f"no measure was asked for; expected some, such as {EXAMPLES}")
    _check_qrels(collection)
    candidates = _candidates(collection, run)
    missing = tuple(query_id for query_id in collection.qrels if not candidates.get(query_id))
    if len(missing) == len(collection.qrels):
        raise DataError(
            f"run {run.name} ranks none of the {len(collection.qrels)} judged queries of {collection.name}; it has "
            f"{_sample(run)}, the collection {_sample(collection.qrels)}. Was it made for another collection?"
        )
    numbers = {query_id: str(number) for number, query_id in enumerate(collection.qrels, 1)}
    judged = {numbers[query_id]: dict(grades) for query_id, grades in collection.qrels.items() if grades}
    ranked = {numbers[query_id]: _untied(docids) for query_id, docids in candidates.items() if docids}
    values = {}
    levelled = {name: _at_level(measure, collection.relevance_level) for name, measure in parsed.items()}
    for name, measure in levelled.items():
        found = _by_number(measure, judged, ranked)
        _check_complete(name, measure, found, numbers, collection, ranked)
        values[name] = {query_id: found.get(numbers[query_id], 0.0) for query_id in numbers}
    return Evaluation(
        collection=collection.name,
        run=run.name,
        measures=tuple(parsed),
        values=values,
        queries=len(collection.qrels),
        scored=len(collection.qrels) - len(missing),
        missing=missing,
        short=_short(candidates, [measure.params.get("cutoff", 1) for measure in parsed.values()]),
        unjudged_queries=sum(query_id not in collection.qrels for query_id in run),
        relevance_level=collection.relevance_level,
        binary=tuple(name for name, measure in levelled.items() if measure is not parsed[name]),
        own_document_removed=collection.drop_query_document,
        float32_ties=sum(_differs_in_float32(run[query_id]) for query_id, docids in candidates.items() if docids),
    )


def canonical(measure: str) -> str:
    """A measure's name as ir_measures prints it. UsageError where there is no such measure.

    >>> canonical("MRR@10")
    'RR@10'
    """
    return str(_parse(measure))


def _parse(text: str) -> Any:
    try:
        measure = ir_measures.parse_measure(text)
    except NameError:
        name = text.partition("@")[0].partition("(")[0].strip()
        hint = nearest(name, [known.__name__ for known in ir_measures.measures.registry.values()])
        raise UsageError(f'unknown measure "{name}"{hint} (expected one such as {EXAMPLES})') from None
    # ir_measures reads the text as Python's syntax and lets whatever goes wrong there surface.
    except Exception:
        raise UsageError(f'cannot read the measure "{text}"; expected one such as {EXAMPLES}') from None
    for parameter in measure.params:
        if parameter not in measure.SUPPORTED_PARAMS:
            known = ", ".join(measure.SUPPORTED_PARAMS)
            raise UsageError(f'the measure "{text}" has no parameter "{parameter}"; expected one of {known}')
    for parameter, about in measure.SUPPORTED_PARAMS.items():
        if about.required and parameter not in measure.params:
            how = f"{text}@10" if parameter == measure.AT_PARAM else f"{measure.NAME}({parameter}=…)"
            raise UsageError(f'the measure "{text}" needs a {parameter}, as in {how}')
    # Below 1, trec_eval's library ends the whole process.
    if measure.params.get("cutoff", 1) < 1:
        raise UsageError(f'the measure "{text}" is cut off at {measure.params["cutoff"]}; expected 1 or more')
    try:
        measure.validate_params()
    except AssertionError as error:
        raise UsageError(f'the measure "{text}" has an {error}; expected one such as {EXAMPLES}') from None
    return measure


def _at_level(measure: Any, level: int) -> Any:
    """The measure at the collection's relevance level, if it is a binary one that does not state its own."""
    about = measure.SUPPORTED_PARAMS.get("rel")
    # Where the level has no default (NumRet, RBP), giving one would make another measure of it.
    binary = about is not None and isinstance(about.default, int)
    return measure(rel=level) if binary and "rel" not in measure.params else measure


def _candidates(collection: Collection, run: Run) -> dict[str, tuple[str, ...]]:
    """The run's candidates for the judged queries, best first, without those that do not count.

    These are passages judged `EXCLUDED` for the query, and the query's own document where it must go.
    """
    found = {}
    for query_id, grades in collection.qrels.items():
        if query_id in run:
            gone = {docid for docid, grade in grades.items() if grade == EXCLUDED}
            gone |= {query_id} if collection.drop_query_document else set()
            docids = run[query_id].docids
            found[query_id] = tuple(docid for docid in docids if docid not in gone) if gone else docids
    return found


def _untied(docids: tuple[str, ...]) -> dict[str, float]:
    """Scores that fall by one from candidate to candidate: the providers of measures break ties in opposite ways."""
    return {docid: float(len(docids) - position) for position, docid in enumerate(docids)}


def _by_number(
    measure: Any, judged: Mapping[str, Mapping[str, int]], ranked: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """The measure's values. Queries are numbered, as one provider reads their ids as numbers.

    Each measure is computed alone: ir_measures may mix up the gains of several that it computes together.
    """
    try:
        found = {one.query_id: float(one.value) for one in ir_measures.evaluator([measure], judged).iter_calc(ranked)}
    # Providers are other people's programs, some of them in other languages: their failures have no common type.
    except Exception as error:
        raise UsageError(f"{measure} cannot be computed here: {error}") from None
    # NaN says that a measure is undefined for a query, as where nothing is relevant.
    return {number: value for number, value in found.items() if not math.isnan(value)}


def _check_qrels(collection: Collection) -> None:
    if not collection.qrels:
        raise DataError(f"{collection.name} has no judgments, so no run can be measured on it; name a judged split")
    for query_id, grades in collection.qrels.items():
        fault = id_fault(query_id)
        if grades:
            # Joined, as an empty docid is none that a run could rank.
            extremes = max(grades.values()), min(grades.values())
            fault = fault or id_fault("".join(grades) or "-") or next(filter(None, map(grade_fault, extremes)), None)
        if fault:
            raise DataError(f'{collection.name}: judgments of query "{query_id}": {fault}')


def _check_complete(
    name: str,
    measure: Any,
    found: Mapping[str, float],
    numbers: Mapping[str, str],
    collection: Collection,
    ranked: Mapping[str, object],
) -> None:
    """DataError for a ranked query with a relevant document and no value: it would count as 0 and be none."""
    if {"gains", "judged_only"} & set(measure.params):
        return  # what counts as relevant, or as ranked, is then for the measure to say
    level = measure.params.get("rel", 1)
    for query_id, number in numbers.items():
        if number in ranked and number not in found and max(collection.qrels[query_id].values(), default=0) >= level:
            raise DataError(
                f'{name} has no value for query "{query_id}" of {collection.name}, which has relevant documents and is '
                f"ranked; the program that computes it fails on this query's judgments or ids"
            )


def _differs_in_float32(ranking: Ranking) -> bool:
    """Whether scores as 32-bit floats, ties broken by docid, would give another order."""
    # What is too large or small for 32 bits becomes infinity or 0, as in C.
    with np.errstate(over="ignore", under="ignore"):
        scores = ranking.scores.astype(np.float32)
    tied = np.flatnonzero(scores[1:] == scores[:-1])
    return any(ranking.docids[place] < ranking.docids[place + 1] for place in tied.tolist())


def _short(candidates: Mapping[str, tuple[str, ...]], cutoffs: Sequence[int]) -> tuple[str, ...]:
    lengths = {query_id: len(docids) for query_id, docids in candidates.items() if docids}
    usual = max(statistics.multimode(lengths.values()))
    expected = max(usual, *cutoffs)
    return tuple(query_id for query_id, length in lengths.items() if length < expected)


def _sample(query_ids: Mapping[str, object]) -> str:
    few = [f'"{query_id}"' for query_id, _ in zip(query_ids, range(3), strict=False)]
    return f"{', '.join(few) or 'no query'}{', …' if len(query_ids) > 3 else ''}"


def query_means(values: Mapping[str, Mapping[str, float]], measures: Sequence[str]) -> dict[str, float]:
    """Measure → mean over all judged queries, of measure → query id → value."""
    return {name: sum(values[name].values()) / len(values[name]) for name in map(canonical, measures)}


def suite_means(means: Mapping[str, float]) -> dict[str, float]:
    """Suite → unweighted mean of its members' values, for each suite of which no member is missing.

    Args:
        means: a measure's mean on each collection, by its ir_datasets id.
    """
    return {
        name: math.fsum(means[member] for member in members) / len(members)
        for name, members in suites().items()
        if all(member in means for member in members)
    }
