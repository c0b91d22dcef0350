"""First stages: from a collection to a run."""

from limbeck.retrieval.bm25 import BM25
from limbeck.retrieval.dense import Dense
from limbeck.retrieval.retriever import KINDS, Retriever, make_retriever
from limbeck.retrieval.splade import Splade

__all__ = ["BM25", "KINDS", "Dense", "Retriever", "Splade", "make_retriever"]
