"""How far another form of a model, such as a quantised one, drifts from it on real pairs."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau

from limbeck.collections import Collection
from limbeck.evaluation import measure_run
from limbeck.runs import Run

MEASURE = "nDCG@10"


@dataclass(frozen=True)
class Drift:
    """Two rankings of the same candidates compared, the model's own and that of another form of it.

    Attributes:
        pairs, queries: what was compared.
        largest, average: absolute difference of scores.
        spread: standard deviation of the model's own scores within a query, averaged over queries: what differences
            have to be small against.
        tau: Kendall's τ-b of a query's two rankings, averaged over the queries with two different scores or more; None
            without any.
        before, after: mean nDCG@10 of either; None without judgments.
    """

    pairs: int
    queries: int
    largest: float
    average: float
    spread: float
    tau: float | None
    before: float | None
    after: float | None


def drift(own: Run, other: Run, collection: Collection) -> Drift:
    """Compare the model's own run with that of another form of it on the same candidates."""
    differences, spreads, taus = [], [], []
    for query_id, ranking in own.items():
        scores = dict(zip(ranking.docids, ranking.scores, strict=True))
        others = dict(zip(other[query_id].docids, other[query_id].scores, strict=True))
        a, b = (np.array([found[docid] for docid in scores], np.float64) for found in (scores, others))
        differences.append(np.abs(a - b))
        spreads.append(a.std())
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            taus.append(kendalltau(a, b).statistic)
    every = np.concatenate(differences)
    means = [
        measure_run(collection, run, [MEASURE]).mean(MEASURE) if collection.qrels else None for run in (own, other)
    ]
    return Drift(
        len(every),
        len(differences),
        float(every.max()),
        float(every.mean()),
        float(np.mean(spreads)),
        float(np.mean(taus)) if taus else None,
        *means,
    )
