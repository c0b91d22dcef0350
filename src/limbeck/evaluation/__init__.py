"""Evaluation: measures of runs, and the paired statistics that compare them."""

from limbeck.evaluation.measure import Evaluation, canonical, measure_run
from limbeck.evaluation.rerank import rerank
from limbeck.evaluation.significance import (
    Comparison,
    bootstrap_interval,
    compare,
    equivalence_p,
    holm,
    paired_t,
    randomisation_test,
)

__all__ = [
    "Comparison",
    "Evaluation",
    "bootstrap_interval",
    "canonical",
    "compare",
    "equivalence_p",
    "holm",
    "measure_run",
    "paired_t",
    "randomisation_test",
    "rerank",
]
