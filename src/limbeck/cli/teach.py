"""Verbs of teachers: stronger models turn a run's candidates into lists with signals. One verb for each kind."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli import teach_queries, teach_report, teach_status
from limbeck.cli.list_options import Candidates, Depth, Kept, Output, Ranking, print_description, write_ranking
from limbeck.cli.llm_options import Calls, Parameter, further_parameters
from limbeck.cli.llm_summary import expect_some, report
from limbeck.cli.output import CollectionName, Json, errors, load, warn
from limbeck.core.options import Options, with_options
from limbeck.teachers.kinds import AsGiven, Taught, Teacher, Workplace, teacher_kinds

if TYPE_CHECKING:
    from limbeck.runs import Run


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    teachers = typer.Typer(help="Teachers: turn a run's candidates into training lists.", no_args_is_help=True)
    for name, kind in teacher_kinds().items():
        teachers.command(name, help=inspect.getdoc(kind))(_verb(kind))
    teachers.command("queries")(teach_queries.queries)
    teachers.command("status")(teach_status.status)
    teachers.command("report")(teach_report.report)
    app.add_typer(teachers, name="teach")


def _verb(kind: type[Teacher]) -> Callable[..., None]:
    """The verb of a kind of teacher: its own options, and those of what it gives and keeps."""

    def teach(
        *,
        settings: dict[str, Any],
        parameter: Parameter = None,
        collection: CollectionName,
        run: Candidates,
        output: Output,
        depth: Depth = None,
        scores: Kept = None,
        calls: Calls = None,
        ranking: Ranking = None,
        qrels: Annotated[Path | None, typer.Option(help="Judgments to write too, in BEIR's format.")] = None,
        json: Json = False,
    ) -> None:
        from limbeck.lists import candidates_to_teach, lists_from_signals, write_lists
        from limbeck.runs import read_run

        further = {"parameters": further_parameters(parameter)} if parameter else {}
        teacher = kind(**settings, **further)
        _ = teacher.describe(AsGiven())  # what cannot be is said before anything is loaded
        data = load(collection)
        candidates, part = candidates_to_teach(data, read_run(run), depth)
        kept = scores or output.with_suffix(".scores"), calls or output.with_suffix(".calls.jsonl")
        taught = teacher.teach(data, part, Workplace(*kept, errors(), lambda text: warn([text]), AsGiven()))
        if taught.outcome:
            expect_some(taught.outcome, bool(taught.signals), kept[1])
        details = taught.details | ({"scores": str(kept[0])} if kind.keeps == "scores" else {})
        lists = lists_from_signals(kind.gives, candidates, taught.signals, taught.teacher, details)
        write_lists(lists, output)
        write_ranking(lists, ranking)
        if qrels:
            _write_grades(taught, part, qrels)
        print_description(lists, output, json)
        if taught.outcome:
            report(taught.outcome, taught.facts)

    unfit = {"scores": {"parameter", "calls"}, "calls": {"scores"}, "embeddings": {"parameter", "calls", "scores"}}
    left_out = unfit[kind.keeps] | ({"ranking"} if kind.gives == "grades" else {"qrels"})
    signature = inspect.signature(teach)
    own = [each for each in signature.parameters.values() if each.name not in left_out]
    teach.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    return with_options(settings=Options(declaration=kind, without=("parameters",)))(teach)


def _write_grades(taught: Taught, run: "Run", path: Path) -> None:
    from limbeck.collections.qrels import write_qrels

    graded = {query_id: zip(run[query_id].docids, found, strict=True) for query_id, found in taught.signals.items()}
    write_qrels(
        {query_id: {docid: int(grade) for docid, grade in of if grade >= 0} for query_id, of in graded.items()}, path
    )
