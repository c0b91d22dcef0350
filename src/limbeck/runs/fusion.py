"""Fusion: several runs of the same queries as one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import UsageError, nearest
from limbeck.runs.run import Ranking, Run, rank

METHODS = ("rrf", "interpolate")


@dataclass(frozen=True)
class Fusion:
    """How runs become one.

    Attributes:
        method: `rrf`, reciprocal rank fusion: Σ 1 / (k + rank), ranks from 1 (Cormack et al. 2009, SIGIR); or
            `interpolate`: Σ weight · score, each query's scores in each run scaled to 0 for the lowest and 1 for the
            highest (Lee 1997, SIGIR; without weights, CombSUM of Fox and Shaw 1994). What a run lacks adds 0.
        k: of `rrf`, ≥ 0; 60 is the paper's.
        weights: of `interpolate`, one for each run, ≥ 0 and not all 0; none: equal ones.

    Raises UsageError for any other value.
    """

    method: str = "rrf"
    k: float = 60
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", tuple(self.weights))
        if self.method not in METHODS:
            raise UsageError(
                f'no fusion "{self.method}"; expected {" or ".join(METHODS)}{nearest(self.method, METHODS)}'
            )
        if not (math.isfinite(self.k) and self.k >= 0):
            raise UsageError(f"fusion: k is {self.k}; expected 0 or more")
        if self.weights and self.method != "interpolate":
            raise UsageError(f"fusion: weights are given for {self.method}; expected them for interpolate only")
        if self.weights and not (all(w >= 0 for w in self.weights) and 0 < sum(self.weights) < math.inf):
            raise UsageError(
                f"fusion: the weights are {self.weights}; expected numbers ≥ 0, not all 0, with a finite sum"
            )

    def expect(self, runs: int) -> None:
        """Raise UsageError unless so many runs can be fused with these weights."""
        if runs < 2:
            raise UsageError(f"fusion takes at least two runs, {runs} given")
        if self.weights and len(self.weights) != runs:
            raise UsageError(f"fusion: {len(self.weights)} weights for {runs} runs; expected one for each run")

    def fuse(self, runs: Sequence[Run], name: str = "fused") -> Run:
        """One run of all queries that any of the runs has, with all documents that any of them ranks for it."""
        self.expect(len(runs))
        weights = self.weights or (1.0,) * len(runs)
        rankings: dict[str, Ranking] = {}
        for query_id in dict.fromkeys(query_id for run in runs for query_id in run):
            parts: dict[str, list[float]] = {}
            for run, weight in zip(runs, weights, strict=True):
                if query_id in run:
                    values = (self._values(run[query_id]) * weight).tolist()
                    for docid, value in zip(run[query_id].docids, values, strict=True):
                        parts.setdefault(docid, []).append(value)
            # Exact sums: two documents with the same ranks in other runs tie, in whatever order the runs are given.
            rankings[query_id] = rank(list(parts), [math.fsum(values) for values in parts.values()])
        return Run(name, rankings, tag=self.method)

    def _values(self, ranking: Ranking) -> NDArray[np.float64]:
        if self.method == "rrf":
            return 1 / (self.k + np.arange(1, len(ranking) + 1))
        scores = ranking.scores / 2  # differences of the largest floats are no floats
        low, high = scores[-1], scores[0]
        # All alike: each is as good as the best.
        return (scores - low) / (high - low) if high > low else np.ones(len(ranking))
