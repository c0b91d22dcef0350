"""Verbs of teachers: stronger models turn a run's candidates into lists with signals. One verb for each kind."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli import teach_queries, teach_report
from limbeck.cli.list_options import Candidates, Depth, Output, ScoreOptions, print_description, write_ranking
from limbeck.cli.llm import CallOptions, expect_some, report
from limbeck.cli.output import CollectionName, Json, errors, load, warn
from limbeck.core.options import Doc, Options, with_options
from limbeck.teachers.kinds import AsGiven, Taught, Teacher, Workplace, teacher_kinds

if TYPE_CHECKING:
    from limbeck.runs import Run


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    teachers = typer.Typer(help="Teachers: turn a run's candidates into training lists.", no_args_is_help=True)
    for name, kind in teacher_kinds().items():
        teachers.command(name, help=inspect.getdoc(kind))(_verb(kind))
    teachers.command("queries")(teach_queries.queries)
    teachers.command("status")(teach_report.status)
    teachers.command("report")(teach_report.report)
    app.add_typer(teachers, name="teach")


@dataclass(frozen=True, kw_only=True)
class _Ranking:
    """What a teacher that orders writes beside lists."""

    ranking: Annotated[Path | None, Doc("Run file to write too: the teacher's own ranking.")] = None


@dataclass(frozen=True, kw_only=True)
class _Judgments:
    """What a teacher that grades writes beside lists."""

    qrels: Annotated[Path | None, Doc("Judgments to write too, in BEIR's format.")] = None


@dataclass(frozen=True, kw_only=True)
class _Nothing:
    """No options."""


_KEPT: dict[str, type] = {"scores": ScoreOptions, "calls": CallOptions, "embeddings": _Nothing}
_BESIDE: dict[str, type] = {"scores": _Ranking, "order": _Ranking, "grades": _Judgments}


def _verb(kind: type[Teacher]) -> Callable[..., None]:
    """The verb of a kind of teacher: its own options, and those of what it keeps and gives."""

    @with_options(
        settings=Options(declaration=kind, without=("parameters",)),
        kept=Options(declaration=_KEPT[kind.keeps]),
        beside=Options(declaration=_BESIDE[kind.gives]),
    )
    def teach(
        *,
        settings: dict[str, Any],
        collection: CollectionName,
        run: Candidates,
        output: Output,
        depth: Depth = None,
        kept: dict[str, Any],
        beside: dict[str, Any],
        json: Json = False,
    ) -> None:
        from limbeck.lists import candidates_to_teach, lists_from_signals, write_lists
        from limbeck.runs import read_run

        sent = CallOptions(**kept) if kind.keeps == "calls" else CallOptions()
        teacher = kind(**settings, **sent.settings())
        _ = teacher.describe(AsGiven())  # what cannot be is said before anything is loaded
        data = load(collection)
        candidates, part = candidates_to_teach(data, read_run(run), depth)
        scores, calls = kept.get("scores", output.with_suffix(".scores")), sent.kept(output)
        place = Workplace(scores, calls, errors(), lambda text: warn([text]), AsGiven())
        taught = teacher.teach(data, part, place)
        if taught.outcome:
            expect_some(taught.outcome, bool(taught.signals), calls)
        details = taught.details | ({"scores": str(scores)} if kind.keeps == "scores" else {})
        lists = lists_from_signals(kind.gives, candidates, taught.signals, taught.teacher, details)
        write_lists(lists, output)
        write_ranking(lists, beside.get("ranking"))
        if qrels := beside.get("qrels"):
            _write_grades(taught, part, qrels)
        print_description(lists, output, json)
        if taught.outcome:
            report(taught.outcome, taught.facts)

    return teach


def _write_grades(taught: Taught, run: "Run", path: Path) -> None:
    from limbeck.collections.qrels import write_qrels

    graded = {query_id: zip(run[query_id].docids, found, strict=True) for query_id, found in taught.signals.items()}
    write_qrels(
        {query_id: {docid: int(grade) for docid, grade in of if grade >= 0} for query_id, of in graded.items()}, path
    )
