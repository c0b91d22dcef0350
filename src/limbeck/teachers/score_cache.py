"""Scores of a model on disk, so that no pair is scored twice."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from rich.console import Console

from limbeck.collections import Collection
from limbeck.core.errors import DataError
from limbeck.core.json_files import key_of
from limbeck.core.progress import bar
from limbeck.runs import Run
from limbeck.teachers.journal import Journal, read_records

Scores = dict[str, NDArray[np.float32]]
PAIRS_AT_ONCE = 512
"""Of some queries, scored together and then kept: what a kill loses, but for a query with more candidates."""


class ScorerRecord(BaseModel):
    """Whose scores a file keeps, and of what."""

    kind: Literal["scorer"]


class ScoresRecord(BaseModel):
    """Scores of a query's documents."""

    model_config = ConfigDict(strict=True)

    kind: Literal["scores"]
    query: str
    docids: list[str]
    scores: list[Annotated[float, Field(allow_inf_nan=False)]]

    @model_validator(mode="after")
    def _as_many(self) -> "ScoresRecord":
        if len(self.docids) != len(self.scores):
            raise ValueError(f"{len(self.scores)} scores of {len(self.docids)} documents")
        return self


_SCHEMA: TypeAdapter[ScorerRecord | ScoresRecord] = TypeAdapter(
    Annotated[ScorerRecord | ScoresRecord, Field(discriminator="kind")]
)


class Scorer(Protocol):
    """A model that scores (query, passage) pairs."""

    @property
    def name(self) -> str:
        """The name that it was loaded by."""

    @property
    def version(self) -> str:
        """What tells its weights from others."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All else that can change a score."""

    def score(self, collection: Collection, wanted: Mapping[str, Sequence[str]]) -> Mapping[str, NDArray[np.float32]]:
        """Query id → scores [docids] of the documents wanted for it."""


def kept_scores(
    scorer: Scorer, collection: Collection, run: Run, folder: Path, console: Console | None = None
) -> Scores:
    """Query id → scores, float32 [candidates], aligned with `run[id].docids`; only what `folder` lacks is computed.

    Each scorer has a file of its own there, named by the hash of its weights, its settings and the collection's texts:
    it holds one record for each query that was scored. Killed, the same call goes on behind the last whole record.
    With a `console`, progress is shown on it. DataError for a score that is no finite number; it is not kept.
    """
    identity = {
        "model": scorer.name,
        "version": scorer.version,
        "settings": dict(scorer.settings),
        "texts": collection.texts_fingerprint,
    }
    path = folder / f"{_key(identity)}.jsonl"
    with Journal(path) as journal:
        known = _read(path)
        if not path.stat().st_size:
            journal.append({"kind": "scorer", **identity})
        wanted = {
            query_id: [docid for docid in ranking.docids if docid not in known.get(query_id, {})]
            for query_id, ranking in run.items()
        }
        wanted = {query_id: docids for query_id, docids in wanted.items() if docids}
        with bar(console, f"Score with {scorer.name}", sum(map(len, wanted.values()))) as advance:
            for part in _parts(wanted):
                for query_id, scores in scorer.score(collection, part).items():
                    if not np.isfinite(scores).all():
                        raise DataError(
                            f'{scorer.name}: a score of query "{query_id}" is not a finite number; try --precision fp32'
                        )
                    values = [float(score) for score in scores]
                    journal.append({"kind": "scores", "query": query_id, "docids": part[query_id], "scores": values})
                    known.setdefault(query_id, {}).update(zip(part[query_id], values, strict=True))
                    advance(len(values))
    return {
        query_id: np.array([known[query_id][docid] for docid in ranking.docids], dtype=np.float32)
        for query_id, ranking in run.items()
    }


def _parts(wanted: Mapping[str, list[str]]) -> Iterator[dict[str, list[str]]]:
    """Some queries after the other, with about `PAIRS_AT_ONCE` documents together."""
    part: dict[str, list[str]] = {}
    for query_id, docids in wanted.items():
        if part and sum(map(len, part.values())) + len(docids) > PAIRS_AT_ONCE:
            yield part
            part = {}
        part[query_id] = docids
    if part:
        yield part


def _read(path: Path) -> dict[str, dict[str, float]]:
    known: dict[str, dict[str, float]] = {}
    for record in read_records(path, _SCHEMA, "kept scores"):
        if isinstance(record, ScoresRecord):
            known.setdefault(record.query, {}).update(zip(record.docids, record.scores, strict=True))
    return known


def _key(identity: Mapping[str, Any]) -> str:
    """A hash of what can change a score; the name under which weights were loaded cannot."""
    content = {name: value for name, value in identity.items() if name != "model" or _is_vague(identity["version"])}
    return key_of(content, 16)


def _is_vague(version: str) -> bool:
    return not version.startswith("sha256:")
