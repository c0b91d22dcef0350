"""Calibration: scores as probabilities of relevance, and how far such probabilities can be trusted.

Platt's method (Platt 1999, Probabilistic Outputs for Support Vector Machines) makes the probability sigmoid(a·s + b) of
a raw score s. With a > 0 the order of any two passages stays, and a·s + b is what a linear head gives whose weights are
multiplied by a: a calibrated model is a plain checkpoint. Isotonic regression ties scores, which changes rankings, and
needs a table beside the weights, which other software does not read: it is not offered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # whose `optimize` opens when it is first asked for: a training needs none
from numpy.typing import NDArray
from scipy import special

from limbeck.collections import Collection
from limbeck.core.errors import DataError, plural
from limbeck.evaluation.statistics.resampling import draw
from limbeck.runs import Run

Floats = NDArray[np.float64]
FOLDS = 5
BINS = 15
THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Judged:
    """Candidates with judgments, query after query.

    Attributes:
        scores: raw, [candidates].
        relevant: whether the grade is at least the collection's relevance level; False without judgment, [candidates].
        queries: number of the query of each, [candidates]; 0 to how many queries there are less one.
        unjudged: how many have no judgment.
    """

    scores: Floats
    relevant: NDArray[np.bool_]
    queries: NDArray[np.int64]
    unjudged: int


@dataclass(frozen=True)
class Platt:
    """The probability sigmoid(slope · score + intercept)."""

    slope: float
    intercept: float

    def log_odds(self, scores: Floats) -> Floats:
        """slope · score + intercept."""
        return self.slope * scores + self.intercept


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval; the queries are what is drawn."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PrecisionAt:
    """What is kept at probabilities of at least `threshold`: how many, how many of them relevant, and the precision.

    `precision` is None where nothing is kept; `recall` is the share of all relevant candidates that is kept.
    """

    threshold: float
    candidates: int
    relevant: int
    precision: Interval | None
    recall: float


@dataclass(frozen=True)
class Calibration:
    """A calibration and what it is worth on queries that its parameters were not fitted to.

    Attributes:
        platt: fitted on all queries.
        error_before: expected calibration error of sigmoid(score), as it was.
        error: of the calibrated probability: every query by a fit on the other folds' queries.
        precision: at thresholds, of the same held-out probabilities.
    """

    platt: Platt
    collection: str
    queries: int
    candidates: int
    relevant: int
    unjudged: int
    error_before: Interval
    error: Interval
    precision: tuple[PrecisionAt, ...]


def calibrate(collection: Collection, run: Run, thresholds: Sequence[float] = THRESHOLDS) -> Calibration:
    """Fit Platt's method to a model's run on judged queries, and measure it on held-out queries.

    Queries are divided into 5 folds; each fold's probabilities come from a fit on the others'. The fit that is kept is
    that of all queries.

    Args:
        run: raw scores of the model, as `limbeck.evaluation.rerank` gives them.

    Raises:
        DataError: fewer than two judged queries with candidates, no relevant candidate or none but relevant ones, or
            scores that do not rise with relevance.
    """
    judged = judged_candidates(collection, run)
    platt = fit_platt(judged.scores, judged.relevant)
    if not platt.slope > 0:
        raise DataError(
            f"{run.name} on {collection.name}: scores do not rise with relevance (slope {platt.slope:.3g}), and a "
            "calibration must keep their order; is this the model, and the collection, that you meant?"
        )
    count = int(judged.queries[-1]) + 1
    fold_of = np.random.default_rng(0).permutation(count) % FOLDS
    probabilities = np.empty(len(judged.scores))
    for fold in range(min(FOLDS, count)):
        held_out = fold_of[judged.queries] == fold
        fitted = fit_platt(judged.scores[~held_out], judged.relevant[~held_out])
        probabilities[held_out] = special.expit(fitted.log_odds(judged.scores[held_out]))
    return Calibration(
        platt=platt,
        collection=collection.name,
        queries=count,
        candidates=len(judged.scores),
        relevant=int(judged.relevant.sum()),
        unjudged=judged.unjudged,
        error_before=calibration_error(special.expit(judged.scores), judged.relevant, judged.queries),
        error=calibration_error(probabilities, judged.relevant, judged.queries),
        precision=tuple(precision_at(each, probabilities, judged.relevant, judged.queries) for each in thresholds),
    )


def judged_candidates(collection: Collection, run: Run) -> Judged:
    """The candidates of a run's judged queries. DataError where nothing can be learnt from them."""
    scores, relevant, counts, unjudged = list[float](), list[bool](), list[int](), 0
    for query_id, grades in collection.qrels.items():
        if query_id not in run:
            continue
        ranking = run[query_id]
        counts.append(len(ranking))
        scores += map(float, ranking.scores)
        relevant += [grades.get(docid, 0) >= collection.relevance_level for docid in ranking.docids]
        unjudged += sum(docid not in grades for docid in ranking.docids)
    found = sum(relevant)
    if len(counts) < 2 or not 0 < found < len(relevant):
        raise DataError(
            f"{collection.name}: {len(counts)} judged queries with {plural(len(relevant), 'candidate')}, {found} of "
            "them relevant; a calibration needs two queries or more, and candidates of both kinds. Take a validation "
            "split with judgments, and a first stage that finds what is relevant"
        )
    return Judged(np.array(scores), np.array(relevant), np.repeat(np.arange(len(counts)), counts), unjudged)


def fit_platt(scores: Floats, relevant: NDArray[np.bool_]) -> Platt:
    """Slope and intercept of the largest likelihood, towards Platt's targets (n₊+1)/(n₊+2) and 1/(n₋+2)."""
    positives = int(relevant.sum())
    targets = np.where(relevant, (positives + 1) / (positives + 2), 1 / (len(relevant) - positives + 2))
    mean, spread = scores.mean(), scores.std() or 1.0
    standard = (scores - mean) / spread

    def loss(ab: Floats) -> tuple[float, Floats]:
        odds = ab[0] * standard + ab[1]
        excess = special.expit(odds) - targets
        value = np.logaddexp(0, odds).mean() - (targets * odds).mean()
        return float(value), np.array([(excess * standard).mean(), excess.mean()])

    start = np.array([0.0, special.logit(targets.mean())])
    a, b = scipy.optimize.minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-9}).x
    return Platt(float(a / spread), float(b - a * mean / spread))


def calibration_error(
    probabilities: Floats, relevant: NDArray[np.bool_], queries: NDArray[np.int64], samples: int = 2000
) -> Interval:
    """Expected calibration error: |share of relevant − mean probability|, averaged over 15 bins of equally many.

    Bins of equal width, as in Guo et al. 2017 (arXiv 1706.04599), would hold nearly all candidates of a ranking in the
    first; of equally many: Nixon et al. 2019 (arXiv 1904.01685). Being a mean of absolute values, it comes out above 0
    for true probabilities, by chance, and higher still in a bootstrap sample; so the interval is the bootstrap's
    reflected one (Davison and Hinkley 1997, the basic interval), and begins at 0 where relevance drawn from the
    probabilities themselves would give as much in one of forty draws.
    """
    order = np.argsort(probabilities, kind="stable")
    bins = np.empty(len(order), np.int64)
    bins[order] = np.arange(len(order)) * BINS // len(order)
    count = int(queries[-1]) + 1
    excess = np.zeros((count, BINS))
    np.add.at(excess, (queries, bins), relevant - probabilities)
    sizes = np.bincount(queries, minlength=count).astype(np.float64)
    value = np.abs(excess.sum(0)).sum() / sizes.sum()
    weights = draw(np.random.default_rng(0), count, samples)
    sampled = np.abs(weights @ excess).sum(1) / (weights @ sizes)
    low, high = np.quantile(sampled, [0.025, 0.975])
    spread = np.sqrt(np.bincount(bins, probabilities * (1 - probabilities), BINS))
    by_chance = np.abs(np.random.default_rng(0).normal(0, spread, (samples, BINS))).sum(1) / sizes.sum()
    begin = 0.0 if value <= np.quantile(by_chance, 0.975) else max(0.0, 2 * value - high)
    return Interval(float(value), float(begin), float(max(value, 2 * value - low)))


def precision_at(
    threshold: float, probabilities: Floats, relevant: NDArray[np.bool_], queries: NDArray[np.int64]
) -> PrecisionAt:
    """Precision of what is kept at a threshold: Wilson's interval with the sample's effective size.

    Candidates of one query hang together, so they count as fewer: divided by the design effect, and where all or none
    are relevant, as one a query (Korn and Graubard 1998, Confidence Intervals for Proportions with Small Expected
    Number of Positive Counts Estimated from Survey Data).
    """
    kept = probabilities >= threshold
    size, found = int(kept.sum()), int((kept & relevant).sum())
    recall = found / int(relevant.sum())
    if not size:
        return PrecisionAt(threshold, 0, 0, None, 0.0)
    per_query = np.bincount(queries[kept])
    kept_of, found_of = per_query[per_query > 0], np.bincount(queries[kept], relevant[kept])[per_query > 0]
    units, share = len(kept_of), found / size
    effective = float(units)
    if 0 < share < 1 and units > 1:
        variance = units / (units - 1) * ((found_of - share * kept_of) ** 2).sum() / size**2
        effective = size / max(1.0, variance / (share * (1 - share) / size))
    z2 = float(special.stdtrit(max(1, units - 1), 0.975)) ** 2
    middle = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    half = np.sqrt(z2 * (share * (1 - share) / effective + z2 / (4 * effective**2))) / (1 + z2 / effective)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return PrecisionAt(threshold, size, found, Interval(share, float(low), float(high)), recall)


def facts_of(calibration: Calibration, run: str, depth: int) -> dict[str, Any]:
    """What a model's folder keeps of its calibration, as JSON."""
    error = calibration.error
    return {
        "method": "platt",
        "slope": calibration.platt.slope,
        "intercept": calibration.platt.intercept,
        "collection": calibration.collection,
        "run": run,
        "depth": depth,
        "queries": calibration.queries,
        "candidates": calibration.candidates,
        "relevant": calibration.relevant,
        "expected_calibration_error": [error.value, error.low, error.high],
    }
