"""The verb that compares teachers: what each is worth, what it cost, and how far they agree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import CollectionName, Json, load, print_json, print_table, short_names, warn

if TYPE_CHECKING:
    from limbeck.lists import Lists
    from limbeck.teachers.llm import Spent


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
        f"{collection}: {found.queries} queries that all have; headroom: share of the way from the order that was "
        "given to the best one of the same candidates",
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
