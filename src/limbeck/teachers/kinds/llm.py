"""An LLM as a user sets it, and how it is opened; the kinds `llm` and `judge` have it order passages, or grade them."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from annotated_types import Ge, Le

from limbeck.core.errors import plural
from limbeck.core.options import Amount, Count, Doc, check_settings
from limbeck.teachers.kinds import Gives, Keeps, Names, Taught, Workplace

if TYPE_CHECKING:
    from rich.console import Console

    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm.cache import Cap
    from limbeck.teachers.llm.client import LLMSession, Outcome
    from limbeck.teachers.llm.engine import Engine
    from limbeck.teachers.llm.rerank import Judging, Listwise, Reranker

AnswerTokens = Annotated[Count, Doc("Maximum number of tokens of an answer.")]
PassageWords = Annotated[Count, Doc("Maximum number of words of a passage.")]
Attempts = Annotated[Count, Doc("Maximum number of attempts until an answer is complete.")]
Answered = TypeVar("Answered", bound="Outcome")


@dataclass(frozen=True, kw_only=True)
class LLMSettings:
    """An LLM at an endpoint, or in this process; how it samples, and what its answers may cost.

    `parameters` are further ones to send, as JSON holds them; None leaves one out.

    UsageError for what cannot be, and for what may be a key where it would be recorded; nothing is asked.
    """

    model: Annotated[
        str, Doc("Name at the endpoint; without one: folder, Hub id, package:NAME/PATH or a GGUF file.")
    ]  # fmt: skip
    endpoint: Annotated[
        str | None,
        Doc(
            "OpenAI-compatible address, such as http://127.0.0.1:8000/v1: queries and passages are sent there. "
            "Without it the model runs in this process."
        ),
    ] = None
    temperature: Annotated[Amount, Doc("Sampling temperature (0 = greedy).")] = 0.0
    top_p: Annotated[float, Ge(0), Le(1), Doc("Nucleus sampling: smallest set of tokens with this probability.")] = 1.0
    max_tokens: AnswerTokens = 64
    seed: Annotated[int, Doc("Seed of sampling and of shuffles.")] = 1
    parameters: dict[str, Any] = field(default_factory=dict)
    revision: Annotated[str, Doc("Your name for the version behind the endpoint; part of what is recorded.")] = ""
    key_variable: Annotated[str, Doc("Environment variable with the endpoint's key.")] = "LIMBECK_API_KEY"
    concurrency: Annotated[Count, Doc("Concurrent requests to an endpoint.")] = 4
    timeout: Annotated[
        float,
        Ge(0.1),
        Doc("Seconds without a byte before a request is retried; a whole answer may take five times as long."),
    ] = 120.0
    retries: Annotated[int, Ge(0), Doc("Maximum number of retries of a request, with exponential back-off.")] = 5
    budget_tokens: Annotated[Count | None, Doc("Maximum number of tokens of all kept calls together.")] = None
    budget_money: Annotated[Amount | None, Doc("Maximum cost of all kept calls together; needs prices.")] = None
    price_in: Annotated[Amount, Doc("Price per 1M input tokens.")] = 0.0
    price_out: Annotated[Amount, Doc("Price per 1M output tokens.")] = 0.0
    precision: Annotated[Literal["fp32", "bf16"], Doc("Number format of matrix products, in process.")] = "fp32"

    def __post_init__(self) -> None:
        from limbeck.teachers.llm.endpoint import Key, check_parameters
        from limbeck.teachers.llm.transport import Address

        check_settings(self)
        check_parameters(self.parameters)
        if self.endpoint is not None:
            _ = Address(self.endpoint), Key(self.key_variable)
        _ = self.cap

    @property
    def models(self) -> tuple[str, ...]:
        """The model, if it is loaded in this process from a checkpoint."""
        return (self.model,) if self.endpoint is None and not self.model.endswith(".gguf") else ()

    @property
    def sampling(self) -> dict[str, Any]:
        """Every sampling parameter."""
        own = {name: getattr(self, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
        return own | self.parameters

    @property
    def cap(self) -> "Cap":
        """The most that all kept calls may cost together. UsageError for money without prices."""
        from limbeck.teachers.llm.cache import Cap, Prices

        return Cap(self.budget_tokens, self.budget_money, Prices(self.price_in, self.price_out))

    def work(
        self,
        collection: "Collection",
        candidates: "Run",
        place: Workplace,
        settings: Mapping[str, Any],
        ask: "Callable[[Reranker], Answered]",
    ) -> "tuple[Answered, dict[str, str], str]":
        """Put a run's candidates before the LLM.

        Args:
            settings: what the lists' metadata is to tell of how it was asked.
            ask: what is to be done with the re-ranker.

        Returns what came of it, the lists' metadata, and a sentence about the calls. Raises what `ask` raises.
        """
        from limbeck.teachers.llm.rerank import Reranker

        name = place.names.model_name(self.model) if self.models else self.model
        with open_session(self, place.calls, place.console, place.warn, name) as session:
            outcome = ask(Reranker(session, collection, candidates))
            return outcome, described(session, outcome, settings), session_facts(session, outcome)

    def described(self, weights: Callable[[str], str], settings: Mapping[str, Any]) -> dict[str, Any]:
        """What decides its answers. Where an endpoint is says nothing of what answers there: its revision does."""
        llm = weights(self.model) if self.models else self.model
        return {"llm": llm, "revision": self.revision, "parameters": self.sampling, "settings": dict(settings)}


@contextmanager
def open_session(
    settings: LLMSettings,
    calls: Path,
    console: "Console | None",
    warn: Callable[[str], None],
    name: str | None = None,
) -> "Iterator[LLMSession]":
    """The engine that settings name, with the store of calls in the file `calls` open.

    Args:
        warn: told what a user should know.
        name: what the model is to be loaded by, where it is in this process; by default as the settings name it.

    Raises what the engine and the store raise that cannot be had.
    """
    from limbeck.teachers.llm.cache import Budget, CallStore
    from limbeck.teachers.llm.client import LLMClient, LLMSession

    stopping = threading.Event()
    with ExitStack() as stack:
        engine: Engine
        if settings.endpoint is None:
            from limbeck.teachers.llm.in_process import InProcess, LanguageModel  # torch, which an endpoint needs not

            engine = InProcess(LanguageModel.load(name or settings.model, settings.precision), settings.sampling)
        else:
            from limbeck.teachers.llm.endpoint import Endpoint
            from limbeck.teachers.llm.transport import Address

            address = Address(settings.endpoint)
            if address.is_readable_on_the_way:
                warn(f"queries and passages go to {address.host} unencrypted")
            engine = Endpoint(
                address=address,
                model=settings.model,
                parameters=settings.sampling,
                key_variable=settings.key_variable,
                revision=settings.revision,
                timeout=settings.timeout,
                retries=settings.retries,
                connections=settings.concurrency,
                stopping=stopping,
            )
            stack.callback(engine.close)
        store = stack.enter_context(CallStore(calls))
        if store.journal.repaired:
            warn(f"{calls}: the last record was half written and has been removed")
        concurrency = 1 if settings.endpoint is None else settings.concurrency
        client = LLMClient(engine, store, Budget(settings.cap), stopping)
        yield LLMSession(client, concurrency, stopping, console)


def described(
    session: "LLMSession", outcome: "Outcome", settings: Mapping[str, Any], units: str = "queries"
) -> dict[str, str]:
    """What is kept of how something was made, beside it: the lists' metadata."""
    engine = session.client.engine
    return {
        "teacher_version": engine.revision or "not known: an endpoint's",
        "teacher_place": engine.place,
        "calls": str(session.client.store.journal.path),
        "teacher_parameters": json.dumps(dict(engine.parameters), sort_keys=True),
        "teacher_settings": json.dumps(dict(settings), sort_keys=True),
        f"{units}_excluded": str(len(outcome.excluded)),
        f"{units}_incomplete": str(len(outcome.incomplete)),
        f"{units}_unfinished": str(len(outcome.unfinished)),
        "passages_cut": str(outcome.cut),
        "answers_defective": json.dumps(dict(sorted(outcome.defects.items()))),
    }


def session_facts(session: "LLMSession", outcome: "Outcome") -> str:
    """How many calls were made, and what was wrong with answers, in a sentence."""
    store = session.client.store
    defects = ", ".join(f"{count} {name}" for name, count in sorted(outcome.defects.items()))
    return (
        f"{store.journal.path}: {plural(store.made, 'call')} made, {store.found} found here; defects of answers: "
        f"{defects or 'none'}"
    )


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
