"""What a user sets of an LLM that is asked: declared once, for options of verbs and keys of a study."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le

from limbeck.core.options import Amount, Count, Doc, check_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.kinds import Workplace
    from limbeck.teachers.llm.rerank import Reranker
    from limbeck.teachers.llm.session import LLMSession, Outcome, Service

AnswerTokens = Annotated[Count, Doc("Maximum number of tokens of an answer.")]
PassageWords = Annotated[Count, Doc("Maximum number of words of a passage.")]
Attempts = Annotated[Count, Doc("Maximum number of attempts until an answer is complete.")]
Answered = TypeVar("Answered", bound="Outcome")


@dataclass(frozen=True, kw_only=True)
class LLMSettings:
    """An LLM at an endpoint, or in this process; how it samples, and what its answers may cost.

    `parameters` are further ones to send, as JSON holds them; None leaves one out.

    UsageError for what cannot be; nothing is asked.
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
        from limbeck.teachers.llm.address import check_parameters

        check_settings(self)
        check_parameters(self.parameters)
        _ = self.service()

    @property
    def models(self) -> tuple[str, ...]:
        """The model, if it is loaded in this process from a checkpoint."""
        return (self.model,) if self.endpoint is None and not self.model.endswith(".gguf") else ()

    @property
    def sampling(self) -> dict[str, Any]:
        """Every sampling parameter."""
        own = {name: getattr(self, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
        return own | self.parameters

    def service(self, name: str | None = None) -> "Service":
        """The LLM that these settings name, as `name` where it is to be loaded."""
        from limbeck.teachers.llm.client import Cap, Prices
        from limbeck.teachers.llm.session import Service

        return Service(
            model=name or self.model,
            endpoint=self.endpoint,
            parameters=self.sampling,
            revision=self.revision,
            key_variable=self.key_variable,
            concurrency=self.concurrency,
            timeout=self.timeout,
            retries=self.retries,
            precision=self.precision,
            cap=Cap(self.budget_tokens, self.budget_money, Prices(self.price_in, self.price_out)),
        )

    def session(
        self, calls: Path, console: "Console | None", warn: "Callable[[str], None]", name: str | None = None
    ) -> AbstractContextManager["LLMSession"]:
        """The engine, with its store of calls open."""
        return self.service(name).session(calls, console, warn)

    def work(
        self,
        collection: "Collection",
        candidates: "Run",
        place: "Workplace",
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
        from limbeck.teachers.llm.session import described, session_facts

        name = place.names.model_name(self.model) if self.models else self.model
        with self.session(place.calls, place.console, place.warn, name) as session:
            outcome = ask(Reranker(session, collection, candidates))
            return outcome, described(session, outcome, settings), session_facts(session, outcome)

    def described(self, weights: "Callable[[str], str]", settings: Mapping[str, Any]) -> dict[str, Any]:
        """What decides its answers. Where an endpoint is says nothing of what answers there: its revision does."""
        llm = weights(self.model) if self.models else self.model
        return {"llm": llm, "revision": self.revision, "parameters": self.sampling, "settings": dict(settings)}
