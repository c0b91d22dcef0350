"""Paired statistics over queries and seeds, on one collection or over a suite.

`pair` aligns by query id, `compare_all` gives all statistics of many comparisons; the rest are the parts of these.
"""

from limbeck.evaluation.statistics.bootstrap import bootstrap_interval, bootstrap_intervals
from limbeck.evaluation.statistics.comparison import Comparison, compare, compare_all, effect_size
from limbeck.evaluation.statistics.components import Figures
from limbeck.evaluation.statistics.equivalence import check_margin, equivalence, equivalence_p
from limbeck.evaluation.statistics.factors import FactorAnalysis, analyse_factors
from limbeck.evaluation.statistics.multiple import CORRECTIONS, Correction, benjamini_hochberg, holm
from limbeck.evaluation.statistics.pairing import Paired, pair
from limbeck.evaluation.statistics.power import minimum_detectable_difference, power
from limbeck.evaluation.statistics.randomisation import randomisation_test, randomisation_tests
from limbeck.evaluation.statistics.ranks import Ranks, mean_ranks
from limbeck.evaluation.statistics.student import Estimate, over_queries, over_queries_and_seeds, paired_t

__all__ = [
    "CORRECTIONS",
    "Comparison",
    "Correction",
    "Estimate",
    "FactorAnalysis",
    "Figures",
    "Paired",
    "Ranks",
    "analyse_factors",
    "benjamini_hochberg",
    "bootstrap_interval",
    "bootstrap_intervals",
    "check_margin",
    "compare",
    "compare_all",
    "effect_size",
    "equivalence",
    "equivalence_p",
    "holm",
    "mean_ranks",
    "minimum_detectable_difference",
    "over_queries",
    "over_queries_and_seeds",
    "pair",
    "paired_t",
    "power",
    "randomisation_test",
    "randomisation_tests",
]
