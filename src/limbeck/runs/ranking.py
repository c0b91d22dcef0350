"""One query's ranked passages, and the tie rule that orders them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limbeck.collections.lines import id_fault, is_encodable
from limbeck.core.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Passages of one query, best first.

    Always in trec_eval's order: score descending, then docid descending by UTF-8 bytes (which is how Python compares
    strings too). Build it with `rank`, which sorts. Equal to another when docids and scores are equal.

    Attributes:
        docids: distinct, non-empty, without whitespace.
        scores: float64 [n], finite, read-only.

    Raises DataError where docids or scores are none of that, or not in order.
    """

    docids: tuple[str, ...]
    scores: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "docids", tuple(self.docids))
        # Adding 0 copies, and turns -0.0 into the 0.0 that it ties with.
        object.__setattr__(self, "scores", np.asarray(self.scores, dtype=np.float64) + 0.0)
        self.scores.setflags(write=False)
        _check(self.docids, self.scores)

    def __len__(self) -> int:
        return len(self.docids)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ranking):
            return NotImplemented
        return self.docids == other.docids and np.array_equal(self.scores, other.scores)

    def __hash__(self) -> int:
        return hash(self.docids)

    def cut(self, depth: int) -> "Ranking":
        """The first `depth` passages."""
        return self if len(self) <= depth else Ranking(self.docids[:depth], self.scores[:depth])


def rank(docids: Sequence[str], scores: Any) -> Ranking:
    """Order passages by the tie rule.

    Args:
        docids: [n] distinct ids.
        scores: [n] finite numbers, higher is better: a sequence or an array of any float type.

    >>> rank(["a", "c", "b"], [1.0, 1.0, 2.0]).docids
    ('b', 'c', 'a')
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(docids),):
        raise DataError(f"scores of shape {list(values.shape)} for {len(docids)} documents; expected [{len(docids)}]")
    order = sorted(range(len(docids)), key=lambda i: (values[i], docids[i]), reverse=True)
    return Ranking(tuple(docids[i] for i in order), values[order])


def _check(docids: tuple[str, ...], scores: Floats) -> None:
    if scores.shape != (len(docids),):
        raise DataError(f"scores of shape {list(scores.shape)} for {len(docids)} documents; expected [{len(docids)}]")
    unfit = np.flatnonzero(~np.isfinite(scores))
    if len(unfit):
        raise DataError(
            f'document "{docids[unfit[0]]}" has the score {scores[unfit[0]]}; expected a finite number '
            f"(a score of NaN or infinity has no place in a ranking)"
        )
    if len(set(docids)) != len(docids):
        twice = next(docid for i, docid in enumerate(docids) if docid in docids[:i])
        raise DataError(f'document "{twice}" is ranked twice for one query; keep one of the two')
    if id_fault("".join(docids)) or "" in docids or not is_encodable("".join(docids)):
        _refuse_ids(docids)
    later, earlier = scores[1:], scores[:-1]
    if (later > earlier).any() or any(docids[i] < docids[i + 1] for i in np.flatnonzero(later == earlier)):
        raise DataError("the ranking is not ordered by score, then docid, both descending; build it with rank()")


def _refuse_ids(docids: tuple[str, ...]) -> None:
    for docid in docids:
        fault = id_fault(docid) or (None if is_encodable(docid) else f"the id {docid!r} cannot be written as UTF-8")
        if fault:
            raise DataError(f"a document cannot be ranked: {fault}")
