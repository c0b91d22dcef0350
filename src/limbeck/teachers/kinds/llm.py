"""The kinds `llm` and `judge`: what an LLM answers when it is asked for an order of passages, or for their grades."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from limbeck.core.options import Count, Doc
from limbeck.teachers.kinds import Gives, Keeps, Names, Taught, Workplace
from limbeck.teachers.llm.settings import AnswerTokens, Attempts, LLMSettings, PassageWords

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm.rerank import Judging, Listwise


@dataclass(frozen=True, kw_only=True)
class ListwiseTeacher(LLMSettings):
    """Have an LLM order a run's candidates, window by window from the back. The same command again goes on."""

    gives: ClassVar[Gives] = "order"
    keeps: ClassVar[Keeps] = "calls"

    max_tokens: AnswerTokens = 256
    prompt: Annotated[str, Doc("rank_zephyr, rank_gpt or a template's .yaml file.")] = "rank_zephyr"
    window: Annotated[int, Ge(2), Doc("Window size: passages in one prompt.")] = 20
    step: Annotated[Count, Doc("Step size of the sliding window, from the back.")] = 10
    passes: Annotated[Count, Doc("Passes over all candidates, each over the last one's order.")] = 1
    orders: Annotated[Count, Doc("Permutations to begin with, whose results are merged; shuffled from the 2nd on.")] = 1
    shuffle: Annotated[bool, Doc("Shuffle the first permutation too.")] = False
    passage_words: PassageWords = 300
    attempts: Attempts = 3

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
            template=template,
            window=self.window,
            step=self.step,
            passes=self.passes,
            orders=self.orders,
            shuffle=self.shuffle,
            seed=self.seed,
            words=self.passage_words,
            attempts=self.attempts,
        )


@dataclass(frozen=True, kw_only=True)
class JudgeTeacher(LLMSettings):
    """Have an LLM grade a run's candidates from 0 to 3: lists with labels, and judgments for those who have none."""

    gives: ClassVar[Gives] = "grades"
    keeps: ClassVar[Keeps] = "calls"

    prompt: Annotated[str, Doc("umbrela or a template's .yaml file.")] = "umbrela"
    passage_words: PassageWords = 500
    attempts: Attempts = 3

    def describe(self, names: Names) -> dict[str, Any]:
        return {"judge": self.described(names.weights, self._judging(names).describe())}

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        import numpy as np

        settings = self._judging(place.names)
        outcome, details, facts = self.work(
            collection, candidates, place, settings.describe(), lambda reranker: reranker.judge(settings)
        )
        signals = {
            query_id: np.array([grades.get(docid, -1) for docid in candidates[query_id].docids], dtype=np.float64)
            for query_id, grades in outcome.grades.items()
        }
        return Taught(self.model, signals, details, outcome, facts)

    def _judging(self, names: Names) -> "Judging":
        from limbeck.teachers.llm.prompts import template_of
        from limbeck.teachers.llm.rerank import Judging

        return Judging(template_of(self.prompt, "graded", names.file), self.passage_words, self.attempts)


TEACHERS = {"llm": ListwiseTeacher, "judge": JudgeTeacher}
