"""Teachers: stronger models whose scores, orders or grades of a run's candidates train a student."""

from limbeck.teachers.biencoder import BiEncoder
from limbeck.teachers.ensemble import EnsembleScores, ensemble_scores
from limbeck.teachers.kept_scores import kept_scores
from limbeck.teachers.sentence_layout import SentenceLayout, read_sentence_layout

__all__ = [
    "BiEncoder",
    "EnsembleScores",
    "SentenceLayout",
    "ensemble_scores",
    "kept_scores",
    "read_sentence_layout",
]
