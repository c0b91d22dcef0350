"""Verbs of LLMs as teachers: order a run's candidates, judge them, and see how far that is."""

import json as json_module
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.lists import Candidates, Depth, Output, print_description
from limbeck.cli.output import CollectionName, Json, errors, load, print_json, warn
from limbeck.cli.teach_ranking import Ranking, write_ranking
from limbeck.errors import DataError, MissingError, UsageError

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm import Job, Outcome

PARTLY_DONE = 7

Model = Annotated[
    str,
    typer.Option(help="Name at the endpoint; without one: folder, Hub id, package:NAME/PATH or a GGUF file."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible address, such as http://127.0.0.1:8000/v1: queries and passages are sent there. "
        "Without it the model runs in this process."
    ),
]
Calls = Annotated[Path | None, typer.Option(help="File that every call is kept in; default: OUTPUT with .calls.jsonl.")]
Temperature = Annotated[float, typer.Option(min=0, help="0: the likeliest token.")]
TopP = Annotated[float, typer.Option(min=0, max=1)]
MaxTokens = Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")]
Seed = Annotated[int, typer.Option(help="Of sampling, and of shuffles.")]
Parameter = Annotated[
    list[str] | None,
    typer.Option(help="Further parameter to send, NAME=JSON; null leaves one out. Give it once for each."),
]
Attempts = Annotated[int, typer.Option(min=1, help="Times to ask until an answer is complete.")]
Revision = Annotated[str, typer.Option(help="Your word for the version behind the endpoint; part of what is recorded.")]
KeyVariable = Annotated[str, typer.Option(help="Environment variable with the endpoint's key.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Calls under way at once, at an endpoint.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds without a byte until a call is sent again.")]
Retries = Annotated[int, typer.Option(min=0, help="Times to send a call again, at growing distance.")]
BudgetTokens = Annotated[int | None, typer.Option(min=1, help="Most tokens that all kept calls may cost together.")]
BudgetMoney = Annotated[float | None, typer.Option(min=0, help="The same in money; needs prices.")]
PriceIn = Annotated[float, typer.Option(min=0, help="Money for a million tokens of prompts.")]
PriceOut = Annotated[float, typer.Option(min=0, help="Money for a million tokens of answers.")]
Precision = Annotated[str, typer.Option(help="fp32 or bf16, in process.")]
KEY_VARIABLE = "LIMBECK_API_KEY"


def add_to(teachers: typer.Typer) -> None:
    """Add the verbs to `limbeck teach`."""
    teachers.command("llm")(llm)
    teachers.command("judge")(judge)
    teachers.command("status")(status)


def llm(
    model: Model,
    collection: CollectionName,
    run: Candidates,
    output: Output,
    endpoint: Endpoint = None,
    prompt: Annotated[str, typer.Option(help="rank_zephyr, rank_gpt or a template's .yaml file.")] = "rank_zephyr",
    depth: Depth = None,
    window: Annotated[int, typer.Option(min=2, help="Passages in one prompt.")] = 20,
    step: Annotated[int, typer.Option(min=1, help="By how many the window moves, from the back.")] = 10,
    passes: Annotated[int, typer.Option(min=1, help="Times over all candidates, each over the last one's order.")] = 1,
    orders: Annotated[
        int, typer.Option(min=1, help="Orders to begin with, merged at the end; from the second on shuffled.")
    ] = 1,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="Shuffle the first order too.")] = False,
    passage_words: Annotated[int, typer.Option(min=1, help="Most words of a passage.")] = 300,
    attempts: Attempts = 3,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 256,
    seed: Seed = 1,
    parameter: Parameter = None,
    revision: Revision = "",
    key_variable: KeyVariable = KEY_VARIABLE,
    concurrency: Concurrency = 4,
    timeout: Timeout = 120.0,
    retries: Retries = 5,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    price_in: PriceIn = 0.0,
    price_out: PriceOut = 0.0,
    precision: Precision = "fp32",
    calls: Calls = None,
    ranking: Ranking = None,
    json: Json = False,
) -> None:
    """Have an LLM order a run's candidates, window by window from the back. The same command again goes on."""
    from limbeck.lists import candidates_to_teach, lists_from_orders, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers.llm import Listwise, read_template

    template = read_template(prompt, "listwise")
    settings = Listwise(template, window, step, passes, orders, shuffle, seed, passage_words, attempts)
    asking = _Asking(
        model, endpoint, _parameters(temperature, top_p, max_tokens, seed, parameter), revision, key_variable,
        concurrency, timeout, retries, _cap(budget_tokens, budget_money, price_in, price_out), precision,
        calls or output.with_suffix(".calls.jsonl"),
    )  # fmt: skip
    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    with asking.job(data, part) as job:
        outcome = job.rank(settings)
        details = _details(job, outcome, settings.describe())
        facts = _facts(job, outcome, asking.calls)
    _expect_some(outcome, bool(outcome.orders), asking.calls)
    lists = lists_from_orders(candidates, outcome.orders, model, details)
    write_lists(lists, output)
    write_ranking(lists, ranking)
    print_description(lists, output, json)
    _report(outcome, facts)


def judge(
    model: Model,
    collection: CollectionName,
    run: Candidates,
    output: Output,
    endpoint: Endpoint = None,
    prompt: Annotated[str, typer.Option(help="umbrela or a template's .yaml file.")] = "umbrela",
    depth: Depth = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgments to write too, in BEIR's format.")] = None,
    passage_words: Annotated[int, typer.Option(min=1, help="Most words of a passage.")] = 500,
    attempts: Attempts = 3,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    max_tokens: MaxTokens = 64,
    seed: Seed = 1,
    parameter: Parameter = None,
    revision: Revision = "",
    key_variable: KeyVariable = KEY_VARIABLE,
    concurrency: Concurrency = 4,
    timeout: Timeout = 120.0,
    retries: Retries = 5,
    budget_tokens: BudgetTokens = None,
    budget_money: BudgetMoney = None,
    price_in: PriceIn = 0.0,
    price_out: PriceOut = 0.0,
    precision: Precision = "fp32",
    calls: Calls = None,
    json: Json = False,
) -> None:
    """Have an LLM grade a run's candidates from 0 to 3: lists with labels, and judgments for those who have none."""
    from limbeck.collections.qrels import write_qrels
    from limbeck.lists import candidates_to_teach, lists_from_grades, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers.llm import Judging, read_template

    settings = Judging(read_template(prompt, "graded"), passage_words, attempts)
    asking = _Asking(
        model, endpoint, _parameters(temperature, top_p, max_tokens, seed, parameter), revision, key_variable,
        concurrency, timeout, retries, _cap(budget_tokens, budget_money, price_in, price_out), precision,
        calls or output.with_suffix(".calls.jsonl"),
    )  # fmt: skip
    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    with asking.job(data, part) as job:
        outcome = job.judge(settings)
        details = _details(job, outcome, settings.describe())
        facts = _facts(job, outcome, asking.calls)
    _expect_some(outcome, bool(outcome.grades), asking.calls)
    lists = lists_from_grades(candidates, outcome.grades, model, details)
    write_lists(lists, output)
    if qrels:
        write_qrels(outcome.grades, qrels)
    print_description(lists, output, json)
    _report(outcome, facts)


def status(
    calls: Annotated[Path, typer.Argument(metavar="CALLS", help="File that `teach llm` or `teach judge` keeps.")],
    json: Json = False,
) -> None:
    """Print how far an LLM's work is, what it cost, and what was wrong with its answers."""
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
        typer.echo(f"  {found.guessed} calls without a count of tokens: the most that they may have cost is counted")
    for reason, count in sorted(found.failures.items()):
        typer.echo(f"  not answered, {count} times: {reason}")
    for job in found.jobs:
        left = job.queries - job.done - job.excluded
        typer.echo(
            f"  {job.task} {job.run} of {job.collection} with {job.model} ({job.job}): {job.done} of {job.queries} "
            f"queries done, {job.excluded} excluded, {left} left"
        )
        if job.answers:
            typer.echo(f"    {job.answers} answers, defects: {_counts(job.defects) or 'none'}")
    if found.half_written:
        typer.echo("  the last record is half written; the next command removes it")


@dataclass(frozen=True)
class _Asking:
    """The options that every verb with an engine has."""

    model: str
    endpoint: str | None
    parameters: dict[str, Any]
    revision: str
    key_variable: str
    concurrency: int
    timeout: float
    retries: int
    cap: Any
    precision: str
    calls: Path

    @contextmanager
    def job(self, collection: "Collection", run: "Run") -> Iterator["Job"]:
        """The job that these options ask for, with its store open."""
        from limbeck.teachers.llm import Address, Asker, Budget, CallStore, InProcess, Job, LanguageModel
        from limbeck.teachers.llm import Endpoint as RemoteEngine

        stopping = threading.Event()
        engine: Any
        if self.endpoint is None:
            engine = InProcess(LanguageModel.load(self.model, self.precision), self.parameters)
            concurrency = 1
        else:
            address = Address(self.endpoint)
            if address.is_readable_on_the_way:
                warn([f"queries and passages go to {address.host} unencrypted"])
            engine = RemoteEngine(
                address, self.model, self.parameters, self.key_variable, self.revision, self.timeout, self.retries,
                connections=self.concurrency, stopping=stopping,
            )  # fmt: skip
            concurrency = self.concurrency
        with CallStore(self.calls) as store:
            if store.journal.repaired:
                warn([f"{self.calls}: the last record was half written and has been removed"])
            asker = Asker(engine, store, Budget(self.cap), stopping)
            yield Job(asker, collection, run, concurrency, stopping, errors())


def _parameters(
    temperature: float, top_p: float, max_tokens: int, seed: int, further: list[str] | None
) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed
    }  # fmt: skip
    for text in further or ():
        name, equals, value = text.partition("=")
        try:
            parameters[name] = json_module.loads(value)
        except ValueError:
            raise UsageError(f'--parameter {text}: expected NAME=JSON, such as top_k=-1 or stop=["\\n"]') from None
        if not name or not equals or name in ("model", "messages", "stream"):
            raise UsageError(f"--parameter {text}: expected NAME=JSON with the name of a sampling parameter")
    return parameters


def _cap(tokens: int | None, money: float | None, price_in: float, price_out: float) -> Any:
    from limbeck.teachers.llm import Cap, Prices

    return Cap(tokens, money, Prices(price_in, price_out))


def _details(job: "Job", outcome: "Outcome", settings: dict[str, Any]) -> dict[str, str]:
    """What the lists' metadata say of their making."""
    engine = job.asker.engine
    return {
        "teacher_version": engine.revision or "not known: an endpoint's",
        "teacher_place": engine.place,
        "teacher_parameters": json_module.dumps(dict(engine.parameters), sort_keys=True),
        "teacher_settings": json_module.dumps(settings, sort_keys=True),
        "queries_excluded": str(len(outcome.excluded)),
        "queries_incomplete": str(len(outcome.incomplete)),
        "queries_unfinished": str(len(outcome.unfinished)),
        "passages_cut": str(outcome.cut),
        "answers_defective": json_module.dumps(dict(sorted(outcome.defects.items()))),
    }


def _facts(job: "Job", outcome: "Outcome", calls: Path) -> str:
    store = job.asker.store
    return (
        f"{calls}: {store.made} calls made, {store.found} found here; defects of answers: "
        f"{_counts(outcome.defects) or 'none'}"
    )


def _expect_some(outcome: "Outcome", found: bool, calls: Path) -> None:
    """Say why, where not a single query was done."""
    from limbeck.teachers.llm import BudgetSpent

    if found:
        return
    if outcome.stopped:
        kind = UsageError if isinstance(outcome.stopped, BudgetSpent) else MissingError
        raise kind(f"no query was done: {outcome.stopped}; answers so far are kept in {calls}")
    raise DataError(
        f"no answer was usable, of {len(outcome.excluded)} queries ({_counts(outcome.defects)}), so there is no list "
        f"to write; the answers are in {calls}: look at them, and take another prompt or model, or a smaller window"
    )


def _report(outcome: "Outcome", facts: str) -> None:
    """Say on standard error how the work went, and end with exit code 7 if it is not whole."""
    errors().print(facts, highlight=False, markup=False, soft_wrap=True)
    if outcome.stopped:
        warn([f"stopped: {outcome.stopped}; {len(outcome.unfinished)} queries are left, the same command goes on"])
    if outcome.incomplete:
        warn([f"{len(outcome.incomplete)} queries are kept although a part of their answers was not usable"])
    if outcome.excluded:
        first = next(iter(outcome.excluded))
        warn(
            [
                f"{len(outcome.excluded)} queries were excluded, as no usable answer came: the first is {first} "
                f"({_counts(outcome.excluded[first])})"
            ]
        )
    if outcome.stopped or outcome.excluded:
        raise typer.Exit(PARTLY_DONE)


def _counts(counts: Any) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
