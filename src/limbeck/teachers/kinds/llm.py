"""The kind `llm`: a listwise re-ranker."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from limbeck.core.options import Count, Doc
from limbeck.teachers.kinds import Names, Taught, Workplace
from limbeck.teachers.llm.settings import LLMSettings

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm.rerank import Listwise


@dataclass(frozen=True, kw_only=True)
class ListwiseTeacher(LLMSettings):
    """Have an LLM order a run's candidates, window by window from the back. The same command again goes on."""

    gives: ClassVar[Literal["scores", "order", "grades"]] = "order"
    keeps: ClassVar[Literal["embeddings", "scores", "calls"]] = "calls"

    max_tokens: Annotated[Count, Doc("Maximum number of tokens of an answer.")] = 256
    prompt: Annotated[str, Doc("rank_zephyr, rank_gpt or a template's .yaml file.")] = "rank_zephyr"
    window: Annotated[int, Ge(2), Doc("Window size: passages in one prompt.")] = 20
    step: Annotated[Count, Doc("Step size of the sliding window, from the back.")] = 10
    passes: Annotated[Count, Doc("Passes over all candidates, each over the last one's order.")] = 1
    orders: Annotated[Count, Doc("Permutations to begin with, whose results are merged; shuffled from the 2nd on.")] = 1
    shuffle: Annotated[bool, Doc("Shuffle the first permutation too.")] = False
    passage_words: Annotated[Count, Doc("Maximum number of words of a passage.")] = 300
    attempts: Annotated[Count, Doc("Maximum number of attempts until an answer is complete.")] = 3

    def describe(self, names: Names) -> dict[str, Any]:
        return self.described(names.weights, self._listwise(names).describe())

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        settings = self._listwise(place.names)
        outcome, details, facts = self.work(
            collection, candidates, place, settings.describe(), lambda reranker: reranker.rank(settings)
        )
        return Taught(self.model, outcome.orders, details, outcome, facts)

    def _listwise(self, names: Names) -> "Listwise":
        from limbeck.teachers.llm.prompts import template_of
        from limbeck.teachers.llm.rerank import Listwise

        template = template_of(self.prompt, "listwise", names.file)
        return Listwise(
            template, self.window, self.step, self.passes, self.orders, self.shuffle, self.seed, self.passage_words,
            self.attempts,
        )  # fmt: skip


TEACHER = ListwiseTeacher
