"""What verbs that ask an LLM have in common, beside what is declared in `limbeck.teachers.llm.settings`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.core.errors import UsageError

Attempts = Annotated[int, typer.Option(min=1, help="Maximum number of attempts until an answer is complete.")]
Parameter = Annotated[
    list[str] | None,
    typer.Option(help="Further parameter to send, NAME=JSON; null leaves one out. Give it once for each."),
]
Calls = Annotated[Path | None, typer.Option(help="File that every call is kept in; default: OUTPUT with .calls.jsonl.")]


def further_parameters(given: list[str] | None) -> dict[str, Any]:
    """Sampling parameters of texts NAME=JSON. UsageError for one that is not so."""
    parameters: dict[str, Any] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        try:
            parameters[name] = json.loads(value)
        except ValueError:
            raise UsageError(f'--parameter {text}: expected NAME=JSON, such as top_k=-1 or stop=["\\n"]') from None
        # n: further answers would be paid for and not read.
        if not name or not equals or name in ("model", "messages", "stream", "n"):
            raise UsageError(f"--parameter {text}: expected NAME=JSON with the name of a sampling parameter")
    return parameters
