"""Rehearsals: a whole study in miniature, without network or GPU, through the same code as the study itself."""

from limbeck.study.rehearsal.prepare import prepare, unproved

__all__ = ["prepare", "unproved"]
