"""Mining with a teacher: a positive, and those candidates as negatives that the teacher holds well apart from it.

A candidate that nobody judged may answer the query all the same; taken for a negative it teaches the opposite.
Positive-aware mining leaves out what a teacher scores too near the positive (NV-Retriever; Moreira et al. 2024, arXiv
2407.15831).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from limbeck.collections import Collection
from limbeck.core.errors import DataError, UsageError
from limbeck.lists.candidates import judged_labels, missing_positives
from limbeck.lists.lists import Lists, TrainingList
from limbeck.lists.signals import average_ranks


@dataclass(frozen=True)
class NegativeFilter:
    """Which candidates are too near a positive to be its negatives. What is left out by one condition is out.

    absolute_margin  a negative's score is at most the positive's less this (the paper's TopK-MarginPos): for any scores
    relative_margin  a negative's score is at most the positive's less this share of it (TopK-PercPos; .05 is 95 %): for
                     scores that have a zero, such as cosines, and not for logits
    skip             so many candidates that the teacher puts first beside the positives are left out (top-k shifted by
                     N): all that can be said of a teacher that gives an order alone

    UsageError where none is given, and for one that is negative.
    """

    absolute_margin: float | None = None
    relative_margin: float | None = None
    skip: int | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if not given:
            raise UsageError(
                "no filter of false negatives; expected relative-margin (of cosines: 0.2, say), absolute-margin (of "
                "any scores) or skip (of any order: 10 of 100 candidates, say; 0 keeps them all)"
            )
        for name, value in given.items():
            if not 0 <= value < np.inf:
                raise UsageError(f"{name} is {value}, expected 0 or more")

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in vars(self).items() if value is not None)

    @property
    def needs_scores(self) -> bool:
        """Whether an order alone is too little."""
        return self.absolute_margin is not None or self.relative_margin is not None

    def keep(self, positive: float, others: np.ndarray) -> np.ndarray:
        """Which of `others`, scores [n], best first, may be negatives of a positive with this score: bool [n]."""
        margins = [self.absolute_margin or 0.0, (self.relative_margin or 0.0) * abs(positive)]
        kept: np.ndarray = others <= positive - max(margins) if self.needs_scores else np.ones(len(others), dtype=bool)
        kept[: self.skip or 0] = False
        return kept


def mine(collection: Collection, taught: Lists, negatives: NegativeFilter) -> Lists:
    """One list for each query and positive: the positive, then its negatives, the hardest to the teacher first.

    Positives are the collection's judged ones among a list's passages. Where the collection has no judgments, the
    passage that the teacher puts first is the query's only one. Lists have labels (the positive's grade, or 1, and 0),
    the teacher's scores if there are any, and its order.

    Metadata counts: false_negatives_filtered (of negative_candidates), lists_without_positive and
    positives_without_negatives, of which nothing is left, and positives_not_candidates, judged ones that a list lacks.

    Raises:
        DataError: lists without a teacher's order; no list is left.
        UsageError: a margin for lists that have no scores.
    """
    if taught.teacher_order is None:
        raise DataError("carry no teacher_order; expected lists that a teacher ordered, as of `limbeck teach`")
    if negatives.needs_scores and taught.teacher_scores is None:
        raise UsageError(
            f"{negatives}: the lists have an order and no scores, of which no margin can be told; expected skip"
        )
    counts: Counter[str] = Counter()
    found = [each for row in range(len(taught)) for each in _of_one(collection, taught[row], negatives, counts)]
    if not found:
        raise DataError(
            f"no list is left with {negatives}: {counts['lists_without_positive']} of {len(taught)} have no positive, "
            f"and {counts['positives_without_negatives']} positives no negative; take a smaller margin, or more "
            "candidates"
        )
    scores = [each.teacher_scores for each in found if each.teacher_scores is not None]
    counted = (
        "negative_candidates",
        "false_negatives_filtered",
        "lists_without_positive",
        "positives_without_negatives",
        "positives_not_candidates",
    )
    return Lists(
        [each.query_id for each in found],
        [each.passage_ids for each in found],
        labels=[each.labels for each in found if each.labels is not None],
        teacher_scores=scores or None,
        teacher_order=[each.teacher_order for each in found if each.teacher_order is not None],
        metadata={
            **taught.metadata,
            "labels_from": f"judgments of {collection.name}" if collection.qrels else "the teacher's first",
            "negatives": str(negatives),
            **{name: str(counts[name]) for name in counted},
        },
    )


def _of_one(
    collection: Collection, row: TrainingList, negatives: NegativeFilter, counts: Counter[str]
) -> Iterator[TrainingList]:
    """The lists of one query's positives."""
    order = row.teacher_order
    assert order is not None
    values = order if row.teacher_scores is None else row.teacher_scores
    best_first = np.argsort(-order, kind="stable")
    if collection.qrels:
        grades = np.array(judged_labels(collection, row.query_id, row.passage_ids), dtype=np.float32)
        counts["positives_not_candidates"] += len(missing_positives(collection, row.query_id, row.passage_ids))
    else:
        grades = np.zeros(len(row), dtype=np.float32)
        grades[best_first[0]] = 1
    positives = [place for place in best_first if grades[place] > 0]
    others = np.array([place for place in best_first if grades[place] <= 0], dtype=int)
    counts["lists_without_positive"] += not positives
    for positive in positives:
        kept = others[negatives.keep(float(values[positive]), values[others])]
        counts["negative_candidates"] += len(others)
        counts["false_negatives_filtered"] += len(others) - len(kept)
        if not len(kept):
            counts["positives_without_negatives"] += 1
            continue
        places = np.array([positive, *kept])
        yield TrainingList(
            row.query_id,
            [row.passage_ids[place] for place in places],
            labels=grades[places],
            teacher_scores=None if row.teacher_scores is None else row.teacher_scores[places],
            teacher_order=average_ranks(order[places]),
        )
