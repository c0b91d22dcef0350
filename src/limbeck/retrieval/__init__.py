"""First stages: from a collection to a run."""

from limbeck.retrieval.bm25 import BM25

__all__ = ["BM25"]
