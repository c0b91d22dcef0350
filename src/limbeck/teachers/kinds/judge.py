"""The kind `judge`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from limbeck.core.options import Count, Doc
from limbeck.teachers.kinds import Names, Taught, Workplace
from limbeck.teachers.llm.settings import LLMSettings

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm.rerank import Judging


@dataclass(frozen=True, kw_only=True)
class JudgeTeacher(LLMSettings):
    """Have an LLM grade a run's candidates from 0 to 3: lists with labels, and judgments for those who have none."""

    gives: ClassVar[Literal["scores", "order", "grades"]] = "grades"
    keeps: ClassVar[Literal["embeddings", "scores", "calls"]] = "calls"

    prompt: Annotated[str, Doc("umbrela or a template's .yaml file.")] = "umbrela"
    passage_words: Annotated[Count, Doc("Maximum number of words of a passage.")] = 500
    attempts: Annotated[Count, Doc("Maximum number of attempts until an answer is complete.")] = 3

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


TEACHER = JudgeTeacher
