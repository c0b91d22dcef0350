"""First stages: from a collection to a run."""

from limbeck.retrieval.bm25 import BM25
from limbeck.retrieval.dense import Dense
from limbeck.retrieval.splade import Splade

__all__ = ["BM25", "Dense", "Splade"]
