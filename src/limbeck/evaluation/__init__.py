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
from limbeck.evaluation.suites import suite_means

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
    "suite_means",
]
