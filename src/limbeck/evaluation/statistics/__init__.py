"""Paired statistics over queries and seeds, on one collection or over a suite.

`Trainings.align` pairs rankers by query id, `compare_all` answers both questions for many comparisons; the rest are the
parts of these. docs/statistics.md has the whole rule in words, with its error rates.
"""

from limbeck.core.options import Correction
from limbeck.evaluation.statistics.best import NearBest, WithinMargin, near_best
from limbeck.evaluation.statistics.comparison import Answer, Comparison, compare, compare_all, effect_size
from limbeck.evaluation.statistics.components import Figures
from limbeck.evaluation.statistics.factors import FactorAnalysis, analyse_factors
from limbeck.evaluation.statistics.families import Corrected, Difference, Fact, Mark
from limbeck.evaluation.statistics.multiple import (
    CORRECTIONS,
    LEVEL,
    Ranks,
    benjamini_hochberg,
    holm,
    mean_ranks,
    tukey_holm,
)
from limbeck.evaluation.statistics.resampling import bootstrap_interval, randomisation_test, randomisation_tests
from limbeck.evaluation.statistics.seeds import over_queries_and_seeds
from limbeck.evaluation.statistics.student import (
    Estimate,
    check_margin,
    equivalence,
    equivalence_p,
    minimum_detectable_difference,
    over_queries,
    paired_t,
    power,
)
from limbeck.evaluation.statistics.trainings import Moments, Training, Trainings

__all__ = [
    "CORRECTIONS",
    "LEVEL",
    "Answer",
    "Comparison",
    "Corrected",
    "Correction",
    "Difference",
    "Estimate",
    "Fact",
    "FactorAnalysis",
    "Figures",
    "Mark",
    "Moments",
    "NearBest",
    "Ranks",
    "Training",
    "Trainings",
    "WithinMargin",
    "analyse_factors",
    "benjamini_hochberg",
    "bootstrap_interval",
    "check_margin",
    "compare",
    "compare_all",
    "effect_size",
    "equivalence",
    "equivalence_p",
    "holm",
    "mean_ranks",
    "minimum_detectable_difference",
    "near_best",
    "over_queries",
    "over_queries_and_seeds",
    "paired_t",
    "power",
    "randomisation_test",
    "randomisation_tests",
    "tukey_holm",
]
