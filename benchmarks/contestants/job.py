"""What a contestant is asked to do, and how it answers. Needs nothing but Python: every environment can import it."""

import itertools
import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

MINI_BATCH = 16


@dataclass(frozen=True)
class Row:
    """One query with its passages and a teacher's scores of them, highest first."""

    query: str
    passages: list[str]
    scores: list[float]


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        work: "training" or "rerank".
        model: folder of a transformers checkpoint with a head of one score.
        precision: "fp32", or "bf16" for mixed precision.
        dropout: None leaves the model's own.
        objective: RankNet or ADR-MSE.
        rounds: steps to train, or times to re-rank, that are counted.
        mini_batch_size: pairs that sentence-transformers scores at once in training; None leaves its own default, as
            many as a step has queries.
    """

    work: str
    model: str
    rows: list[Row]
    precision: str
    max_length: int
    objective: str = "RankNet"
    dropout: float | None = None
    lists_per_step: int = 4
    rounds: int = 5
    mini_batch_size: int | None = MINI_BATCH

    @classmethod
    def read(cls) -> "Job":
        """The job in the file that the command line names."""
        values = json.loads(Path(sys.argv[1]).read_text())
        return cls(**{**values, "rows": [Row(**row) for row in values["rows"]]})


def between(ends: list[float]) -> list[float]:
    """Seconds of each step but the first two, from the times at which steps ended."""
    return [after - before for before, after in itertools.pairwise(ends[1:])]


def report(pairs: int, seconds: list[float]) -> None:
    """Print pairs a round, each round's seconds, and the process's peak memory, as the last line."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"pairs": pairs, "seconds": seconds, "peak_bytes": peak}))
