"""The verb that tells how far an LLM's work is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.output import Json, print_json


def status(
    calls: Annotated[
        Path, typer.Argument(metavar="CALLS", help="File of calls that `teach llm` or `teach judge` keeps.")
    ],
    json: Json = False,
) -> None:
    """Print how far an LLM's work has got, what it cost, and what was wrong with its answers."""
    from limbeck.teachers.llm import read_status

    found = read_status(calls)
    if json:
        print_json(found.as_json())
        return
    cost = "" if found.cost is None else f", {found.cost:.4f} in money"
    typer.echo(
        f"{found.path}: {found.calls} calls, {found.prompt_tokens:,} tokens of prompts and {found.completion_tokens:,} "
        f"of answers{cost}, {found.seconds:.0f} s of answering"
    )
    if found.guessed:
        typer.echo(
            f"  {found.guessed} calls with a try whose tokens nobody told: the most that they may have been is counted"
        )
    for reason, count in sorted(found.failures.items()):
        typer.echo(f"  not answered, {count} times: {reason}")
    if found.last_failure:
        typer.echo(f"  the last of these: {found.last_failure}")
    for job in found.jobs:
        left = job.queries - job.done - job.excluded
        units = "documents" if job.task == "write queries" else "queries"
        typer.echo(
            f"  {job.task} {job.run} of {job.collection} with {job.model} ({job.job}): {job.done} of {job.queries} "
            f"{units} done, {job.excluded} excluded, {left} left"
        )
        if job.answers:
            typer.echo(f"    {job.answers} answers, defects: {counts(job.defects) or 'none'}")
    if found.half_written:
        typer.echo("  the last record is half written; the next command removes it")


def counts(found: Mapping[str, int]) -> str:
    """Such as `2 missing, 1 refusal`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
