"""Verbs on what teachers did: status of an LLM's work, and report, which compares their worth, cost and agreement."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import CollectionName, Json, load, print_json, print_table, short_names, warn
from limbeck.core.errors import plural

if TYPE_CHECKING:
    from limbeck.lists import Lists
    from limbeck.teachers.llm import Spent


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
        f"{found.path}: {plural(found.calls, 'call')}, {found.prompt_tokens:,} tokens of prompts and "
        f"{found.completion_tokens:,} of answers{cost}, {found.seconds:.0f} s of answering"
    )
    if found.guessed:
        typer.echo(
            f"  {plural(found.guessed, 'call')} with a try whose tokens nobody told: the most that they may "
            "have been is counted"
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
            typer.echo(f"    {plural(job.answers, 'answer')}, defects: {counts(job.defects) or 'none'}")
    if found.half_written:
        typer.echo("  the last record is half written; the next command removes it")


def counts(found: Mapping[str, int]) -> str:
    """Such as `2 missing, 1 refusal`."""
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items()))


def report(
    lists: Annotated[list[Path], typer.Argument(metavar="LISTS...", help="Lists that teachers made, of one run.")],
    collection: CollectionName,
    run: Annotated[
        Path | None, typer.Option(help="Run that the teachers were given; default: the order of the lists' passages.")
    ] = None,
    measure: Annotated[str, typer.Option(help="Measure by its ir_measures name.")] = "nDCG@10",
    json: Json = False,
) -> None:
    """Compare teachers: what each is worth, how much of the headroom it takes, what it cost, and how far they agree.

    Costs are those of an LLM's calls for the queries of its lists, read from the file of calls that the lists name.
    """
    from dataclasses import asdict

    from limbeck.lists import read_lists
    from limbeck.lists.teacher_agreement import report_teachers
    from limbeck.runs import read_run

    label = short_names([str(path) for path in lists])
    given = read_run(run) if run else None
    paths = {label[str(path)]: path for path in lists}
    taught = {name: read_lists(path) for name, path in paths.items()}
    found = report_teachers(load(collection), taught, measure, given)
    spent = {name: _spent(taught[name], path) for name, path in paths.items()}
    if json:
        print_json({**asdict(found), "spent": {name: of and asdict(of) for name, of in spent.items()}})
        return
    print_table(
        ("teacher", found.measure, "given", "best", "headroom", "τ with input"),
        [
            (name, _number(of.measure), _number(of.first_stage), _number(of.best), _number(of.headroom),
             f"{of.input_tau:+.3f}")
            for name, of in found.teachers.items()
        ],
        f"{collection}: {plural(found.queries, 'query')} that all have; headroom: share of the way from the order "
        "that was given to the best one of the same candidates",
    )  # fmt: skip
    if costs := [(name, of) for name, of in spent.items() if of]:
        print_table(
            ("cost", "queries", "calls", "failed", "tokens/query", "money/query", "seconds/query"),
            [
                (name, str(of.queries), str(of.calls), str(of.failed), f"{of.tokens / of.queries:,.0f}",
                 "–" if of.money is None else f"{of.money / of.queries:.6f}", f"{of.seconds / of.queries:.1f}")
                for name, of in costs
            ],
        )  # fmt: skip
    if found.agreement:
        rows = [(f"{of.first} · {of.second}", f"{of.kendall:+.3f}", f"{of.overlap:.3f}") for of in found.agreement]
        print_table(("agreement", "Kendall τ", "RBO"), rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _spent(lists: "Lists", path: Path) -> "Spent | None":
    """What an LLM's calls for these lists took; None for another teacher, and where their file is gone."""
    from limbeck.teachers.llm import read_spent

    named = lists.metadata.get("calls")
    if named is None:
        return None
    # The lists may have been moved together with their calls.
    calls = next((place for place in (Path(named), path.parent / Path(named).name) if place.is_file()), None)
    if calls is None:
        warn([f"{path}: its calls are not in {named} any more, so their cost cannot be told"])
        return None
    queries = frozenset(lists.query_ids)
    return read_spent(calls, lists.metadata["teacher"], queries, len(queries))
