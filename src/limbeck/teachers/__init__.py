"""Teachers: stronger models whose scores, orders or grades of a run's candidates train a student."""

from limbeck.models.bi_encoder import BiEncoder
from limbeck.teachers.biencoder import biencoder_scores
from limbeck.teachers.ensemble import EnsembleScores, ensemble_scores
from limbeck.teachers.score_cache import kept_scores

__all__ = [
    "BiEncoder",
    "EnsembleScores",
    "biencoder_scores",
    "ensemble_scores",
    "kept_scores",
]
