"""Teachers: stronger models whose scores on a run's candidates train a student."""

from limbeck.teachers.biencoder import BiEncoder
from limbeck.teachers.sentence_layout import SentenceLayout, read_sentence_layout

__all__ = ["BiEncoder", "SentenceLayout", "read_sentence_layout"]
