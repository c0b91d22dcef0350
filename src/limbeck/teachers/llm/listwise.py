"""Listwise re-ranking by an LLM: windows that slide from the back over each of several orders (RankGPT)."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.errors import UsageError
from limbeck.teachers.llm.answers import FAILED, parse_order
from limbeck.teachers.llm.asking import Asker
from limbeck.teachers.llm.call import CallFailed
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


@dataclass(frozen=True)
class Ranked:
    """What came of one order: positions counted from 0, best first; None if a window was never answered completely.

    defects: how many answers had which defect, those included that a second attempt mended.
    """

    order: tuple[int, ...] | None
    defects: Counter[str]
    calls: int


def rank_once(
    query_id: str, query: str, passages: Sequence[str], settings: Listwise, asker: Asker, number: int
) -> Ranked:
    """One order of a query's passages, the `number`-th, counted from 0.

    An answer that is not complete is never taken for an order: after the last attempt there is none.

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
            for attempt in range(settings.attempts):
                shown = place[start:end]
                turn = attempt * max(1, len(shown) // settings.attempts) % len(shown)
                shown = shown[turn:] + shown[:turn]
                messages = settings.template.listwise(query, [passages[i] for i in shown])
                calls += 1
                try:
                    answer = asker(messages, attempt, about)
                except CallFailed:
                    found[FAILED] += 1
                    return Ranked(None, found, calls)
                parsed = parse_order(answer.text, len(shown), answer.finish_reason)
                found.update(parsed.defects)
                if parsed.order is not None:
                    place[start:end] = [shown[i] for i in parsed.order]
                    break
            else:
                return Ranked(None, found, calls)
    return Ranked(tuple(place), found, calls)
