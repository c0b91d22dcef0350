"""Runs: ranked candidates per query, their order, their fusion, and the TREC files that carry them."""

from limbeck.runs.fusion import Fusion
from limbeck.runs.run import Ranking, Run, rank, read_run, write_run

__all__ = ["Fusion", "Ranking", "Run", "rank", "read_run", "write_run"]
