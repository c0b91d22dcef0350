"""An ensemble of cross-encoders: their scores are averaged (Hofstätter et al. 2020, arXiv 2010.02666)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import UsageError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.runs import Run
from limbeck.teachers.score_cache import Scores, kept_scores
from limbeck.tokens.pairs import Cuts, Pairs, Rows, collection_pairs

COMBINE = ("mean", "standardised")


@dataclass(frozen=True)
class Member:
    """A cross-encoder of an ensemble."""

    encoder: CrossEncoder
    precision: str = "fp32"

    @property
    def name(self) -> str:
        """The name that it was loaded by."""
        return self.encoder.source.name

    @property
    def version(self) -> str:
        """`sha256:` and the digest of local weights, or `revision:` and the commit of a Hub model."""
        return self.encoder.source.version(self.encoder.model.config)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Lengths and precision."""
        lengths = {"max_length": self.encoder.max_length, "query_tokens": self.encoder.query_tokens}
        return lengths | {"precision": self.precision}

    def score(self, collection: Collection, wanted: Mapping[str, Sequence[str]]) -> Scores:
        """Raw logits of the documents wanted for each query."""
        scores = self.encoder.score_rows(*self._pairs(collection, wanted), self.precision)
        ends = np.cumsum([len(docids) for docids in wanted.values()])
        return dict(zip(wanted, np.split(scores, ends[:-1]), strict=True))

    def cuts(self, collection: Collection, run: Run) -> Cuts:
        """What of a run's pairs is too long for it, whether scored now or kept."""
        return Pairs.cuts(*self._pairs(collection, {query_id: ranking.docids for query_id, ranking in run.items()}))

    def _pairs(self, collection: Collection, wanted: Mapping[str, Sequence[str]]) -> tuple[Pairs, Rows, Rows]:
        pairs = collection_pairs(self.encoder, collection)
        query_rows = np.repeat(pairs.queries.rows(list(wanted)), [len(docids) for docids in wanted.values()])
        return pairs, query_rows, pairs.passages.rows([docid for docids in wanted.values() for docid in docids])


@dataclass(frozen=True)
class EnsembleScores:
    """Scores of an ensemble; the versions of its members by their names, and what each had to cut."""

    scores: dict[str, NDArray[np.float64]]
    versions: dict[str, str]
    cuts: dict[str, Cuts]

    @property
    def details(self) -> dict[str, str]:
        """Versions and cuts, for lists' metadata."""
        told = {"teacher_version": " + ".join(self.versions.values())}
        if any(cuts.pairs for cuts in self.cuts.values()):
            told["pairs_cut"] = " + ".join(map(str, self.cuts.values()))
        return told


def ensemble_scores(
    models: Sequence[str],
    collection: Collection,
    run: Run,
    folder: Path,
    combine: str = "mean",
    precision: str = "fp32",
    max_length: int | None = None,
    console: Console | None = None,
) -> EnsembleScores:
    """Query id → the members' mean score, float64 [candidates], aligned with `run[id].docids`.

    Members are scored one after another, one in memory at a time, and their scores kept in `folder`: with other
    members, or more candidates, only what is new is scored.

    Args:
        models: cross-encoders with one raw logit: folders, Hub ids or `package:NAME/PATH`.
        combine: `mean` of the scores as they are, as in the paper, whose members were trained with one objective;
            `standardised` first takes mean and standard deviation over the query's candidates out of each member's,
            for members whose scores are of different ranges.

    Raises:
        UsageError: another `combine`, no member, or one of them twice; and what `CrossEncoder.load` raises.
    """
    if combine not in COMBINE:
        raise UsageError(f"combine is {combine!r}, expected {' or '.join(COMBINE)}")
    if not models or len(set(models)) < len(models):
        raise UsageError(f"members {', '.join(models) or 'none'}: expected one or more, each once")
    found: list[Scores] = []
    versions: dict[str, str] = {}
    cuts: dict[str, Cuts] = {}
    for name in models:
        member = Member(CrossEncoder.load(name, max_length=max_length), precision)
        if member.version.startswith("sha256:") and member.version in versions.values():
            raise UsageError(f"member {name}: has the same weights as another one, expected each once")
        versions[name] = member.version
        found.append(kept_scores(member, collection, run, folder, console))
        cuts[name] = member.cuts(collection, run)
        del member  # before the next one is loaded
    scores = {query_id: combined([of[query_id] for of in found], combine) for query_id in run}
    return EnsembleScores(scores, versions, cuts)


def combined(scores: Sequence[NDArray[np.floating[Any]]], combine: str) -> NDArray[np.float64]:
    """The mean, [candidates], of the members' scores of one query, [candidates] each.

    Standardised, a member that scores all candidates alike adds 0.
    """
    rows = np.stack([np.asarray(of, dtype=np.float64) for of in scores])
    if combine == "standardised":
        spread = rows.std(axis=1, keepdims=True)
        centred = rows - rows.mean(axis=1, keepdims=True)
        rows = np.divide(centred, spread, out=np.zeros_like(rows), where=spread > 1e-12)
    mean: NDArray[np.float64] = rows.mean(axis=0)
    return mean
