"""Lists whose teacher scores come from a stronger model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from limbeck.collections import Collection
from limbeck.lists.from_run import lists_from_run
from limbeck.lists.lists import Lists
from limbeck.lists.signals import teacher_order_from_scores, with_teacher_scores
from limbeck.runs import Ranking, Run


class Teacher(Protocol):
    """A model that scores a run's candidates."""

    @property
    def name(self) -> str:
        """The model's name as resolved."""

    @property
    def version(self) -> str:
        """What tells its weights from others: their checksum, or a revision."""

    def score(self, collection: Collection, run: Run, *, progress: bool = True) -> Mapping[str, np.ndarray]:
        """Query id → scores [candidates], aligned with `run[query_id].docids`."""


def lists_from_teacher(
    collection: Collection,
    run: Run,
    teacher: Teacher,
    depth: int | None = None,
    *,
    scale: float = 1.0,
    progress: bool = True,
) -> Lists:
    """The run's candidates with the teacher's scores times `scale`, their order, and labels where there are any.

    Passages stay in the run's order. Candidates whose text the collection lacks are left out and counted, as in
    `lists_from_run`, whose errors are raised here too. Metadata names the teacher and the version of its weights.
    """
    candidates = lists_from_run(
        collection, run, depth, labels=bool(collection.qrels), order=False, add_missing_positives=False
    )
    scores = teacher.score(collection, _run_of(candidates, run), progress=progress)
    scaled = {query_id: values * scale for query_id, values in scores.items()}
    lists = teacher_order_from_scores(with_teacher_scores(candidates, scaled, teacher.name))
    metadata = {**lists.metadata, "teacher_version": teacher.version, "teacher_scale": repr(scale)}
    return replace(lists, metadata=metadata)


def _run_of(lists: Lists, run: Run) -> Run:
    """The part of `run` that `lists` hold."""
    rankings = {}
    for query_id, passage_ids in zip(lists.query_ids, lists.passage_ids, strict=True):
        kept = set(passage_ids)
        mask = np.array([docid in kept for docid in run[query_id].docids])
        rankings[query_id] = Ranking(tuple(passage_ids), run[query_id].scores[mask])
    return Run(run.name, rankings, run.tag)
