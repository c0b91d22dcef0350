"""Verbs of LLMs as teachers: order a run's candidates, or judge them."""

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli import teach_status
from limbeck.cli.asking import (
    KEY_VARIABLE,
    Asking,
    Attempts,
    BudgetMoney,
    BudgetTokens,
    Calls,
    Concurrency,
    Endpoint,
    KeyVariable,
    MaxTokens,
    Model,
    Parameter,
    Precision,
    PriceIn,
    PriceOut,
    Retries,
    Revision,
    Seed,
    Temperature,
    Timeout,
    TopP,
    budget_cap,
    sampling_parameters,
)
from limbeck.cli.making import Candidates, Depth, Output, print_description
from limbeck.cli.output import CollectionName, Json, errors, load, warn
from limbeck.cli.teach_ranking import Ranking, write_ranking
from limbeck.cli.teach_status import counts
from limbeck.errors import DataError, MissingError, UsageError

if TYPE_CHECKING:
    from limbeck.teachers.llm import Job, Outcome

PARTLY_DONE = 7


def add_to(teachers: typer.Typer) -> None:
    """Add the verbs to `limbeck teach`."""
    teachers.command("llm")(llm)
    teachers.command("judge")(judge)
    teachers.command("status")(teach_status.status)


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
    asking = Asking(
        model, endpoint, sampling_parameters(temperature, top_p, max_tokens, seed, parameter), revision, key_variable,
        concurrency, timeout, retries, budget_cap(budget_tokens, budget_money, price_in, price_out), precision,
        calls or output.with_suffix(".calls.jsonl"),
    )  # fmt: skip
    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    with asking.job(data, part) as job:
        outcome = job.rank(settings)
        details = _details(job, outcome, settings.describe())
        facts = _facts(job, outcome, asking.calls)
    _expect_some(outcome, asking.calls)
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
    asking = Asking(
        model, endpoint, sampling_parameters(temperature, top_p, max_tokens, seed, parameter), revision, key_variable,
        concurrency, timeout, retries, budget_cap(budget_tokens, budget_money, price_in, price_out), precision,
        calls or output.with_suffix(".calls.jsonl"),
    )  # fmt: skip
    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    with asking.job(data, part) as job:
        outcome = job.judge(settings)
        details = _details(job, outcome, settings.describe())
        facts = _facts(job, outcome, asking.calls)
    _expect_some(outcome, asking.calls)
    lists = lists_from_grades(candidates, outcome.grades, model, details)
    write_lists(lists, output)
    if qrels:
        write_qrels(outcome.grades, qrels)
    print_description(lists, output, json)
    _report(outcome, facts)


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
        f"{counts(outcome.defects) or 'none'}"
    )


def _expect_some(outcome: "Outcome", calls: Path) -> None:
    """Say why, where not a single query was done."""
    from limbeck.teachers.llm import BudgetSpent

    if outcome.orders or outcome.grades:
        return
    if outcome.stopped:
        kind = UsageError if isinstance(outcome.stopped, BudgetSpent) else MissingError
        raise kind(f"no query was done: {outcome.stopped}; answers so far are kept in {calls}")
    raise DataError(
        f"no answer was usable, of {len(outcome.excluded)} queries ({counts(outcome.defects)}), so there is no list "
        f"to write; look at the answers in {calls}, and for failed calls at `limbeck teach status {calls}`, and take "
        "another prompt, model or parameters, or a smaller window"
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
                f"({counts(outcome.excluded[first])})"
            ]
        )
    if outcome.stopped or outcome.excluded:
        raise typer.Exit(PARTLY_DONE)
