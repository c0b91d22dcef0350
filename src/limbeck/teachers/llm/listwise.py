"""Listwise re-ranking by an LLM: windows that slide from the back over each of several orders (RankGPT)."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from limbeck.errors import UsageError
from limbeck.teachers.llm.answers import Parsed, parse_order
from limbeck.teachers.llm.asking import Asker
from limbeck.teachers.llm.attempts import Attempts, until_usable
from limbeck.teachers.llm.template import Template
from limbeck.teachers.llm.windows import windows


@dataclass(frozen=True)
class Listwise:
    """How passages are put before an LLM.

    template  the prompt
    window    passages in one prompt; `step`: by how many the window moves. 20 and 10 as in the papers
    passes    how often the windows go over all passages, each time over the order that came of the last
    orders    how many times the whole is done; the results are merged
    shuffle   whether the first order is shuffled too, and not the run's own; all further ones always are
    seed      of the shuffles
    words     most words of a passage
    attempts  how often a window is put before the LLM, until its answer is complete. Each time the window begins with
              another passage: asked the same again, a model that takes the likeliest token would repeat itself

    Sources: Sun et al. 2023 (arXiv 2304.09542), Pradeep et al. 2023 (arXiv 2312.02724).
    """

    template: Template
    window: int = 20
    step: int = 10
    passes: int = 1
    orders: int = 1
    shuffle: bool = False
    seed: int = 1
    words: int = 300
    attempts: int = 3

    def __post_init__(self) -> None:
        windows(1, self.window, self.step)
        for name in ("passes", "orders", "words", "attempts"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 1 or more")

    def describe(self) -> dict[str, Any]:
        """All settings as plain values; the template by name and digest."""
        plain = {name: value for name, value in vars(self).items() if name != "template"}
        return {"template": self.template.name, "template_digest": self.template.digest, **plain}


def rank_once(
    query_id: str, query: str, passages: Sequence[str], settings: Listwise, asker: Asker, number: int
) -> Attempts[tuple[int, ...]]:
    """One order of a query's passages, the `number`-th, counted from 0: positions counted from 0, best first.

    An answer that is not complete is never taken for an order: a window that gets no other leaves none.

    Raises what `asker` raises but CallFailed.
    """
    place = list(range(len(passages)))
    if number or settings.shuffle:
        random.Random(f"{settings.seed}/{query_id}/{number}").shuffle(place)
    found: Counter[str] = Counter()
    calls = 0
    for sweep in range(settings.passes if len(place) > 1 else 0):
        for start, end in windows(len(place), settings.window, settings.step):
            about = {"query": query_id, "order": number, "pass": sweep, "window": [start, end]}
            ask = partial(_rank_window, query, passages, place[start:end], settings, asker, about)
            ranked = until_usable(ask, settings.attempts)
            found.update(ranked.defects)
            calls += ranked.calls
            if ranked.value is None:
                return Attempts(None, found, calls)
            place[start:end] = ranked.value
    return Attempts(tuple(place), found, calls)


def _rank_window(
    query: str, passages: Sequence[str], shown: Sequence[int], settings: Listwise, asker: Asker,
    about: Mapping[str, Any], attempt: int,
) -> Parsed[tuple[int, ...]]:  # fmt: skip
    """The passages `shown`, by their positions, in the order of one answer."""
    turn = attempt * max(1, len(shown) // settings.attempts) % len(shown)
    shown = [*shown[turn:], *shown[:turn]]
    answer = asker(settings.template.listwise(query, [passages[i] for i in shown]), attempt, about)
    parsed = parse_order(answer.text, len(shown), answer.finish_reason)
    return Parsed(parsed.value and tuple(shown[i] for i in parsed.value), parsed.defects)
