"""Verbs of LLMs as teachers: order a run's candidates, or judge them."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli import teach_queries, teach_status
from limbeck.cli.list_options import Candidates, Depth, Output, Ranking, print_description, write_ranking
from limbeck.cli.llm_options import Asking, Attempts, asks
from limbeck.cli.llm_summary import expect_some, report, session_facts
from limbeck.cli.output import CollectionName, Json, load


def add_to(teachers: typer.Typer) -> None:
    """Add the verbs to `limbeck teach`."""
    teachers.command("llm")(llm)
    teachers.command("judge")(judge)
    teachers.command("queries")(teach_queries.queries)
    teachers.command("status")(teach_status.status)


@asks(max_tokens=256)
def llm(
    asking: Asking,
    collection: CollectionName,
    run: Candidates,
    output: Output,
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
    ranking: Ranking = None,
    json: Json = False,
) -> None:
    """Have an LLM order a run's candidates, window by window from the back. The same command again goes on."""
    from limbeck.lists import candidates_to_teach, lists_from_orders, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers.llm import Listwise, Reranker, described, read_template

    template = read_template(prompt, "listwise")
    settings = Listwise(template, window, step, passes, orders, shuffle, asking.seed, passage_words, attempts)
    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    with asking.work(output) as work:
        outcome = Reranker(work, data, part).rank(settings)
        details = described(work, outcome, settings.describe())
        facts = session_facts(work, outcome)
    expect_some(outcome, bool(outcome.orders), asking.store(output))
    lists = lists_from_orders(candidates, outcome.orders, asking.model, details)
    write_lists(lists, output)
    write_ranking(lists, ranking)
    print_description(lists, output, json)
    report(outcome, facts)


@asks()
def judge(
    asking: Asking,
    collection: CollectionName,
    run: Candidates,
    output: Output,
    prompt: Annotated[str, typer.Option(help="umbrela or a template's .yaml file.")] = "umbrela",
    depth: Depth = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgments to write too, in BEIR's format.")] = None,
    passage_words: Annotated[int, typer.Option(min=1, help="Most words of a passage.")] = 500,
    attempts: Attempts = 3,
    json: Json = False,
) -> None:
    """Have an LLM grade a run's candidates from 0 to 3: lists with labels, and judgments for those who have none."""
    from limbeck.collections.qrels import write_qrels
    from limbeck.lists import candidates_to_teach, lists_from_grades, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers.llm import Judging, Reranker, described, read_template

    settings = Judging(read_template(prompt, "graded"), passage_words, attempts)
    data = load(collection)
    candidates, part = candidates_to_teach(data, read_run(run), depth)
    with asking.work(output) as work:
        outcome = Reranker(work, data, part).judge(settings)
        details = described(work, outcome, settings.describe())
        facts = session_facts(work, outcome)
    expect_some(outcome, bool(outcome.grades), asking.store(output))
    lists = lists_from_grades(candidates, outcome.grades, asking.model, details)
    write_lists(lists, output)
    if qrels:
        write_qrels(outcome.grades, qrels)
    print_description(lists, output, json)
    report(outcome, facts)
