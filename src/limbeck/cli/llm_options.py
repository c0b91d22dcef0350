"""What verbs that ask an LLM have in common, beside what is declared in `limbeck.teachers.llm.settings`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.core.errors import UsageError
from limbeck.core.options import Doc

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
