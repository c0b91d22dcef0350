"""Graded judgments by an LLM, passage by passage (UMBRELA; Upadhyay et al. 2024, arXiv 2406.06519)."""

from dataclasses import dataclass
from typing import Any

from limbeck.core.errors import UsageError
from limbeck.teachers.llm.client import LLMClient, RetryResult, until_usable
from limbeck.teachers.llm.parsing import Parsed, parse_grade
from limbeck.teachers.llm.prompts import Template

BEST = 3


@dataclass(frozen=True)
class Judging:
    """How passages are put before a judge.

    template  the prompt, which asks for grades from 0 to 3
    words     most words of a passage
    attempts  how often a passage is put before the LLM, with another seed each time, until there is a grade
    """

    template: Template
    words: int = 500
    attempts: int = 3

    def __post_init__(self) -> None:
        for name in ("words", "attempts"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected 1 or more")

    def describe(self) -> dict[str, Any]:
        """All settings as plain values; the template by name and digest."""
        plain = {"words": self.words, "attempts": self.attempts}
        return {"template": self.template.name, "template_digest": self.template.digest, **plain}


def judge_once(
    query_id: str, docid: str, query: str, passage: str, settings: Judging, client: LLMClient
) -> RetryResult[int]:
    """The grade of one passage; what is no grade is never taken for one. Raises what `client` raises but CallFailed."""
    messages = settings.template.pair(query, passage)

    def ask(attempt: int) -> Parsed[int]:
        answer = client(messages, attempt, {"query": query_id, "docid": docid})
        return parse_grade(answer.text, BEST, answer.finish_reason)

    return until_usable(ask, settings.attempts)
