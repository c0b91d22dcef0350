"""What verbs that ask an LLM have in common: options beside `limbeck.teachers.llm.settings`, and their summary."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.output import errors, warn
from limbeck.cli.teach_report import counts
from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.options import Doc

if TYPE_CHECKING:
    from limbeck.teachers.llm import Outcome

Attempts = Annotated[int, typer.Option(min=1, help="Maximum number of attempts until an answer is complete.")]


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """What a verb that asks an LLM sends beside its settings, and where it keeps what came back."""

    parameter: Annotated[
        tuple[str, ...], Doc("Further parameter to send, NAME=JSON; null leaves one out. Give it once for each.")
    ] = ()
    calls: Annotated[Path | None, Doc("File that every call is kept in; default: OUTPUT with .calls.jsonl.")] = None

    def settings(self) -> dict[str, Any]:
        """What `LLMSettings` is to be told. UsageError for a parameter that is no NAME=JSON."""
        return {"parameters": further_parameters(self.parameter)} if self.parameter else {}

    def kept(self, output: Path) -> Path:
        """The file of calls."""
        return self.calls or output.with_suffix(".calls.jsonl")


def further_parameters(given: Sequence[str]) -> dict[str, Any]:
    """Sampling parameters of texts NAME=JSON. UsageError for one that is not so."""
    parameters: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            parameters[name] = json.loads(value)
        except ValueError:
            raise UsageError(f'--parameter {text}: expected NAME=JSON, such as top_k=-1 or stop=["\\n"]') from None
        # n: further answers would be paid for and not read.
        if not name or not equals or name in ("model", "messages", "stream", "n"):
            raise UsageError(f"--parameter {text}: expected NAME=JSON with the name of a sampling parameter")
    return parameters


PARTLY_DONE = 7


def expect_some(outcome: "Outcome", some: bool, calls: Path, units: str = "queries") -> None:
    """Say why, where not a single unit was done."""
    from limbeck.teachers.llm import BudgetSpent

    if some:
        return
    if outcome.stopped:
        kind = UsageError if isinstance(outcome.stopped, BudgetSpent) else MissingError
        raise kind(f"none of the {units} was done: {outcome.stopped}; answers so far are kept in {calls}")
    raise DataError(
        f"no answer was usable, of {len(outcome.excluded)} {units} ({counts(outcome.defects)}), so there is nothing "
        f"to write; look at the answers in {calls}, and for failed calls at `limbeck teach status {calls}`, and take "
        "another prompt, model or parameters, or a smaller window"
    )


def report(outcome: "Outcome", facts: str, units: str = "queries") -> None:
    """Say on standard error how the work went, and end with exit code 7 if it is not whole."""
    errors().print(facts, highlight=False, markup=False, soft_wrap=True)
    if outcome.stopped:
        warn([f"stopped: {outcome.stopped}; {len(outcome.unfinished)} {units} are left, the same command goes on"])
    if outcome.incomplete:
        warn([f"{len(outcome.incomplete)} {units} are kept although a part of their answers was not usable"])
    if outcome.excluded:
        first = next(iter(outcome.excluded))
        warn(
            [
                f"{len(outcome.excluded)} {units} were excluded, as no usable answer came: the first is {first} "
                f"({counts(outcome.excluded[first])})"
            ]
        )
    if outcome.stopped or outcome.excluded:
        raise typer.Exit(PARTLY_DONE)
