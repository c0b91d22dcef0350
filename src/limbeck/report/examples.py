"""Example queries: how the re-ranker moved their candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.report.table import Results

CUT = 700
"""Characters of a passage that are shown."""


@dataclass(frozen=True)
class Passage:
    """A ranked passage. `move` is what is shown (`↑3`), `meaning` the same in words, `direction` -1, 0 or 1."""

    rank: int
    docid: str
    grade: int | None
    text: str
    move: str
    meaning: str
    direction: int


@dataclass(frozen=True)
class Example:
    facts: Mapping[str, Any]
    before: tuple[Passage, ...]
    after: tuple[Passage, ...]


def show_examples(results: Results) -> list[Example]:
    """The examples in the study's order, movements worked out from the two rankings shown."""
    return [
        Example(example, _passages(example, "before"), _passages(example, "after"))
        for example in results.get("examples") or ()
    ]


def movement(rank: int, other: int | None, shown: int, before: bool) -> tuple[str, str, int]:
    """Sign, words and direction of a passage at `rank` whose place in the other ranking, of `shown` places, is `other`.

    >>> movement(1, 4, 10, before=False)
    ('↑3', 'up from rank 4', 1)
    >>> movement(1, 4, 10, before=True)
    ('↓3', 'goes down to rank 4', -1)
    >>> movement(2, None, 10, before=False)
    ('↑new', 'up from below rank 10', 1)
    """
    if other is None:
        return ("↓out", f"drops below rank {shown}", -1) if before else ("↑new", f"up from below rank {shown}", 1)
    if other == rank:
        return "=", "stays", 0
    distance = rank - other if before else other - rank
    arrow, word = ("↑", "up") if distance > 0 else ("↓", "down")
    words = f"goes {word} to rank {other}" if before else f"{word} from rank {other}"
    return f"{arrow}{abs(distance)}", words, 1 if distance > 0 else -1


def _passages(example: Mapping[str, Any], side: str) -> tuple[Passage, ...]:
    before = side == "before"
    others: Sequence[Mapping[str, Any]] = example["after" if before else "before"]
    ranks = {other["docid"]: other["rank"] for other in others}
    return tuple(
        Passage(
            item["rank"],
            item["docid"],
            item.get("grade"),
            text if len(text := item.get("text") or "") <= CUT else f"{text[:CUT].rstrip()}…",
            *movement(item["rank"], ranks.get(item["docid"]), len(others), before),
        )
        for item in example[side]
    )
