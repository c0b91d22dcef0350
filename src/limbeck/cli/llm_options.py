"""What verbs that ask an LLM have in common: their options, and the engine, store and budget that these stand for."""

import functools
import inspect
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.output import errors, warn
from limbeck.core.errors import UsageError

if TYPE_CHECKING:
    from limbeck.teachers.llm import Cap, LLMSession, Service

Attempts = Annotated[int, typer.Option(min=1, help="Times to ask until an answer is complete.")]
Model = Annotated[
    str,
    typer.Option(help="Name at the endpoint; without one: folder, Hub id, package:NAME/PATH or a GGUF file."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible address, such as http://127.0.0.1:8000/v1: queries and passages are sent there. "
        "Without it the model runs in this process."
    ),
]
Parameter = Annotated[
    list[str] | None,
    typer.Option(help="Further parameter to send, NAME=JSON; null leaves one out. Give it once for each."),
]
Revision = Annotated[str, typer.Option(help="Your word for the version behind the endpoint; part of what is recorded.")]
BudgetTokens = Annotated[int | None, typer.Option(min=1, help="Most tokens that all kept calls may cost together.")]
Calls = Annotated[Path | None, typer.Option(help="File that every call is kept in; default: OUTPUT with .calls.jsonl.")]


@dataclass(frozen=True)
class Asking:
    """The options that every verb with an engine has, one a field."""

    model: Model
    endpoint: Endpoint = None
    temperature: Annotated[float, typer.Option(min=0, help="0: the likeliest token.")] = 0.0
    top_p: Annotated[float, typer.Option(min=0, max=1)] = 1.0
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")] = 64
    seed: Annotated[int, typer.Option(help="Of sampling, and of shuffles.")] = 1
    parameter: Parameter = None
    revision: Revision = ""
    key_variable: Annotated[str, typer.Option(help="Environment variable with the endpoint's key.")] = "LIMBECK_API_KEY"
    concurrency: Annotated[int, typer.Option(min=1, help="Calls under way at once, at an endpoint.")] = 4
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds without a byte until a call is sent again.")] = 120.0
    retries: Annotated[int, typer.Option(min=0, help="Times to send a call again, at growing distance.")] = 5
    budget_tokens: BudgetTokens = None
    budget_money: Annotated[float | None, typer.Option(min=0, help="The same in money; needs prices.")] = None
    price_in: Annotated[float, typer.Option(min=0, help="Money for a million tokens of prompts.")] = 0.0
    price_out: Annotated[float, typer.Option(min=0, help="Money for a million tokens of answers.")] = 0.0
    precision: Annotated[str, typer.Option(help="fp32 or bf16, in process.")] = "fp32"
    calls: Calls = None

    def __post_init__(self) -> None:
        # What cannot be is said before anything is loaded.
        _ = self.service

    @property
    def cap(self) -> "Cap":
        """The most that calls may cost. UsageError for money without prices."""
        from limbeck.teachers.llm import Cap, Prices

        return Cap(self.budget_tokens, self.budget_money, Prices(self.price_in, self.price_out))

    @property
    def parameters(self) -> dict[str, Any]:
        """Every sampling parameter. UsageError for a further one that is none."""
        return sampling_parameters(self.temperature, self.top_p, self.max_tokens, self.seed, self.parameter)

    def store(self, output: Path) -> Path:
        """The file of calls of a verb that writes `output`."""
        return self.calls or output.with_suffix(".calls.jsonl")

    @property
    def service(self) -> "Service":
        """The LLM that these options name. UsageError for what cannot be asked so."""
        from limbeck.teachers.llm import Service

        return Service(
            self.model, self.endpoint, self.parameters, self.revision, self.key_variable, self.concurrency,
            self.timeout, self.retries, self.precision, self.cap,
        )  # fmt: skip

    def work(self, output: Path) -> AbstractContextManager["LLMSession"]:
        """The engine, with its store open."""
        return self.service.work(self.store(output), errors(), lambda warning: warn([warning]))


def asks(**defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the fields of `Asking` as options, in the place of its parameter `asking`; `defaults` are its own."""

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        shared = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=defaults.get(each.name, each.default))
            for each in inspect.signature(Asking).parameters.values()
        ]
        own = inspect.signature(verb).parameters.values()
        parameters = [
            option
            for each in own
            for option in (shared if each.name == "asking" else [each.replace(kind=inspect.Parameter.KEYWORD_ONLY)])
        ]

        @functools.wraps(verb)
        def run(**options: Any) -> None:
            asking = Asking(**{each.name: options.pop(each.name) for each in shared})
            verb(asking=asking, **options)

        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return run

    return decorate


def sampling_parameters(
    temperature: float, top_p: float, max_tokens: int, seed: int, further: list[str] | None
) -> dict[str, Any]:
    """Every sampling parameter, those among `further`, NAME=JSON each, included. UsageError for one that is not so."""
    parameters: dict[str, Any] = {
        "temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed
    }  # fmt: skip
    for text in further or ():
        name, equals, value = text.partition("=")
        try:
            parameters[name] = json.loads(value)
        except ValueError:
            raise UsageError(f'--parameter {text}: expected NAME=JSON, such as top_k=-1 or stop=["\\n"]') from None
        # n: further answers would be paid for and not read.
        if not name or not equals or name in ("model", "messages", "stream", "n"):
            raise UsageError(f"--parameter {text}: expected NAME=JSON with the name of a sampling parameter")
    return parameters
