"""What verbs that asked an LLM tell of it at their end."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from limbeck.cli.output import errors, warn
from limbeck.cli.teach_status import counts
from limbeck.core.errors import DataError, MissingError, UsageError

if TYPE_CHECKING:
    from limbeck.teachers.llm import Outcome

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
