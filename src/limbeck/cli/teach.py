"""Verbs of teachers, one for each kind: candidates become lists with signals. And of an LLM that writes queries."""

import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli import teach_report
from limbeck.cli.output import (
    PARTLY_DONE,
    CandidatesDepth,
    CandidatesRun,
    CollectionName,
    Json,
    ListsOutput,
    ScoreOptions,
    errors,
    load,
    output_folder,
    print_description,
    print_json,
    tell,
    warn,
)
from limbeck.cli.teach_report import counts
from limbeck.core.errors import DataError, MissingError, UsageError, plural
from limbeck.core.options import Count, Doc, Options, with_options
from limbeck.teachers.kinds import AsGiven, Taught, Teacher, Workplace, teacher_kinds
from limbeck.teachers.kinds.llm import Attempts, LLMSettings

if TYPE_CHECKING:
    from limbeck.lists import Lists
    from limbeck.runs import Run
    from limbeck.teachers.llm import Outcome


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    teachers = typer.Typer(help="Teachers: turn a run's candidates into training lists.", no_args_is_help=True)
    for name, kind in teacher_kinds().items():
        teachers.command(name, help=inspect.getdoc(kind))(_verb(kind))
    teachers.command("queries")(queries)
    teachers.command("status")(teach_report.status)
    teachers.command("report")(teach_report.report)
    app.add_typer(teachers, name="teach")


@dataclass(frozen=True, kw_only=True)
class _Ranking:
    """What a teacher that orders writes beside lists."""

    ranking: Annotated[Path | None, Doc("Run file to write too: the teacher's scores, or its order.")] = None


@dataclass(frozen=True, kw_only=True)
class _Judgments:
    """What a teacher that grades writes beside lists."""

    qrels: Annotated[Path | None, Doc("Judgments to write too, in BEIR's format.")] = None


@dataclass(frozen=True, kw_only=True)
class _Nothing:
    """No options."""


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
        run: CandidatesRun,
        output: ListsOutput,
        depth: CandidatesDepth = None,
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
        _write_ranking(lists, beside.get("ranking"))
        if qrels := beside.get("qrels"):
            _write_grades(taught, part, qrels)
        print_description(lists, output, json)
        if taught.outcome:
            report_outcome(taught.outcome, taught.facts)

    return teach


def _write_ranking(lists: "Lists", path: Path | None) -> None:
    """Write the teacher's scores as a run, or the order where it gives no scores, if a path is given."""
    from limbeck.runs import Run, write_run

    signal = lists.teacher_order if lists.teacher_scores is None else lists.teacher_scores
    if path is None or signal is None:
        return
    rows = zip(lists.query_ids, lists.passage_ids, signal, strict=True)
    scores = {query_id: dict(zip(docids, values.tolist(), strict=True)) for query_id, docids, values in rows}
    write_run(Run.from_scores(path.name, scores), path)


def _write_grades(taught: Taught, run: "Run", path: Path) -> None:
    from limbeck.collections.qrels import write_qrels

    graded = {query_id: zip(run[query_id].docids, found, strict=True) for query_id, found in taught.signals.items()}
    write_qrels(
        {query_id: {docid: int(grade) for docid, grade in of if grade >= 0} for query_id, of in graded.items()}, path
    )


@dataclass(frozen=True, kw_only=True)
class _Writing:
    """How queries are asked for."""

    documents: Annotated[
        Count | None, Doc("Number of documents to write queries for, drawn by a hash of their ids; default: all.")
    ] = None
    queries: Annotated[Count, Doc("Number of queries per document; several need a temperature.")] = 1
    prompt: Annotated[str, Doc("doc2query or a template's .yaml file.")] = "doc2query"
    passage_words: Annotated[Count, Doc("Maximum number of words of a document.")] = 300
    attempts: Attempts = 3


@with_options(
    llm=Options(declaration=LLMSettings, defaults={"temperature": 0.7}),
    writing=Options(declaration=_Writing),
    calls=Options(declaration=CallOptions),
)
def queries(
    *,
    llm: dict[str, Any],
    collection: Annotated[
        str, typer.Option(help="Its documents: a folder with a corpus, which needs no queries, or any collection.")
    ],
    output: Annotated[Path, output_folder("Folder to write: the documents, their queries, and qrels/train.tsv.")],
    writing: dict[str, Any],
    calls: dict[str, Any],
    json: Json = False,
) -> None:
    """Have an LLM write queries for documents that have none. The same command again goes on.

    The new folder is a collection whose queries are judged: the document that a query was written for is relevant.
    What else may be is for a teacher to say: `limbeck lists mine` filters false negatives.
    """
    from limbeck.collections import load_documents
    from limbeck.collections.beir import check_own, write_collection
    from limbeck.teachers.llm import (
        QueryWriting,
        described,
        open_session,
        read_template,
        sample_documents,
        session_facts,
        write_queries,
    )

    sent = CallOptions(**calls)
    settings = LLMSettings(**llm, **sent.settings())
    asked = _Writing(**writing)
    how = QueryWriting(read_template(asked.prompt, "query"), asked.queries, asked.passage_words, asked.attempts)
    check_own(output)
    data = load_documents(collection)
    warn(data.warnings)
    docids = sample_documents(data, asked.documents)
    kept = sent.kept(output)
    with open_session(settings, kept, errors(), lambda text: warn([text])) as session:
        outcome = write_queries(session, data, docids, how)
        made = described(session, outcome, how.describe(), "documents")
        facts = session_facts(session, outcome)
    expect_some(outcome, bool(outcome.queries), kept, "documents")
    texts: dict[str, str] = {}  # text → id: one that is written for several documents is one query
    qrels: dict[str, dict[str, int]] = defaultdict(dict)
    for docid, found in outcome.queries.items():
        for place, text in enumerate(found, 1):
            qrels[texts.setdefault(text, f"{docid}~q{place}")][docid] = 1
    of = {query_id: text for text, query_id in texts.items()}
    made = {"documents_of": data.name, "teacher": settings.model, **made}
    write_collection(output, data.documents, of, qrels, made)
    shared = sum(len(judged) > 1 for judged in qrels.values())
    if json:
        counted = {"queries": len(of), "documents_asked": len(docids), "queries_of_several_documents": shared}
        print_json({"path": str(output), **counted, "made": made})
    else:
        typer.echo(
            f"{output}: {plural(len(of), 'query')} for {len(outcome.queries):,} of {plural(len(docids), 'document')}; "
            f"{shared:,} of them were written for several"
        )
        for query_id, text in list(of.items())[:3]:
            typer.echo(f"  {query_id}: {text}")
    report_outcome(outcome, facts, "document")


def expect_some(outcome: "Outcome", some: bool, calls: Path, units: str = "queries") -> None:
    """Say why, where not a single unit was done."""
    if some:
        return
    from limbeck.teachers.llm import BudgetSpent

    if outcome.stopped:
        kind = UsageError if isinstance(outcome.stopped, BudgetSpent) else MissingError
        raise kind(f"none of the {units} was done: {outcome.stopped}; answers so far are kept in {calls}")
    raise DataError(
        f"no answer was usable, of {len(outcome.excluded)} {units} ({counts(outcome.defects)}), so there is nothing "
        f"to write; look at the answers in {calls}, and for failed calls at `limbeck teach status {calls}`, and take "
        "another prompt, model or parameters, or a smaller window"
    )


def report_outcome(outcome: "Outcome", facts: str, unit: str = "query") -> None:
    """Say on standard error how the work went, and end with exit code 7 if it is not whole."""
    tell(facts)
    if outcome.stopped:
        warn([f"stopped: {outcome.stopped}; {plural(len(outcome.unfinished), unit)} left; the same command goes on"])
    if outcome.incomplete:
        kept = plural(len(outcome.incomplete), unit)
        warn([f"{kept} kept although a part of the answers was not usable"])
    if outcome.excluded:
        first = next(iter(outcome.excluded))
        warn(
            [
                f"{plural(len(outcome.excluded), unit)} excluded, as no usable answer came: the first is {first} "
                f"({counts(outcome.excluded[first])})"
            ]
        )
    if outcome.stopped or outcome.excluded:
        raise typer.Exit(PARTLY_DONE)
