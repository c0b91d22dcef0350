"""What verbs that ask an LLM have in common: their options, and the engine, store and budget that these stand for."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.output import errors, warn
from limbeck.errors import UsageError

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm import Cap, Job

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
Calls = Annotated[Path | None, typer.Option(help="File that every call is kept in; default: OUTPUT with .calls.jsonl.")]
Temperature = Annotated[float, typer.Option(min=0, help="0: the likeliest token.")]
TopP = Annotated[float, typer.Option(min=0, max=1)]
MaxTokens = Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")]
Seed = Annotated[int, typer.Option(help="Of sampling, and of shuffles.")]
Parameter = Annotated[
    list[str] | None,
    typer.Option(help="Further parameter to send, NAME=JSON; null leaves one out. Give it once for each."),
]
Attempts = Annotated[int, typer.Option(min=1, help="Times to ask until an answer is complete.")]
Revision = Annotated[str, typer.Option(help="Your word for the version behind the endpoint; part of what is recorded.")]
KeyVariable = Annotated[str, typer.Option(help="Environment variable with the endpoint's key.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Calls under way at once, at an endpoint.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds without a byte until a call is sent again.")]
Retries = Annotated[int, typer.Option(min=0, help="Times to send a call again, at growing distance.")]
BudgetTokens = Annotated[int | None, typer.Option(min=1, help="Most tokens that all kept calls may cost together.")]
BudgetMoney = Annotated[float | None, typer.Option(min=0, help="The same in money; needs prices.")]
PriceIn = Annotated[float, typer.Option(min=0, help="Money for a million tokens of prompts.")]
PriceOut = Annotated[float, typer.Option(min=0, help="Money for a million tokens of answers.")]
Precision = Annotated[str, typer.Option(help="fp32 or bf16, in process.")]
KEY_VARIABLE = "LIMBECK_API_KEY"


@dataclass(frozen=True)
class Asking:
    """The options that every verb with an engine has."""

    model: str
    endpoint: str | None
    parameters: dict[str, Any]
    revision: str
    key_variable: str
    concurrency: int
    timeout: float
    retries: int
    cap: "Cap"
    precision: str
    calls: Path

    @contextmanager
    def job(self, collection: "Collection", run: "Run") -> Iterator["Job"]:
        """The job that these options ask for, with its store open."""
        from limbeck.teachers.llm import Address, Asker, Budget, CallStore, InProcess, Job, LanguageModel
        from limbeck.teachers.llm import Endpoint as RemoteEngine

        stopping = threading.Event()
        engine: Any
        if self.endpoint is None:
            engine = InProcess(LanguageModel.load(self.model, self.precision), self.parameters)
            concurrency = 1
        else:
            address = Address(self.endpoint)
            if address.is_readable_on_the_way:
                warn([f"queries and passages go to {address.host} unencrypted"])
            engine = RemoteEngine(
                address, self.model, self.parameters, self.key_variable, self.revision, self.timeout, self.retries,
                connections=self.concurrency, stopping=stopping,
            )  # fmt: skip
            concurrency = self.concurrency
        with ExitStack() as stack:
            if self.endpoint is not None:
                stack.callback(engine.close)
            store = stack.enter_context(CallStore(self.calls))
            if store.journal.repaired:
                warn([f"{self.calls}: the last record was half written and has been removed"])
            asker = Asker(engine, store, Budget(self.cap), stopping)
            yield Job(asker, collection, run, concurrency, stopping, errors())


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


def budget_cap(tokens: int | None, money: float | None, price_in: float, price_out: float) -> "Cap":
    """The most that calls may cost. UsageError for money without prices."""
    from limbeck.teachers.llm import Cap, Prices

    return Cap(tokens, money, Prices(price_in, price_out))
