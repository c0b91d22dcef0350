"""Verbs of teachers, end to end: from a run to lists that training reads."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from limbeck.collections import load_collection
from limbeck.lists import read_lists
from limbeck.runs import read_run

Limbeck = Callable[..., Result]
AsJson = Callable[..., Any]


def by_text(body: dict[str, Any], _: int = 0) -> str:
    """An endpoint that ranks by the alphabet, or grades by the passage's length."""
    prompt = body["messages"][-1]["content"]
    if "##final score" in prompt:
        line = next(line for line in prompt.splitlines() if line.startswith("Passage:"))
        return f"##final score: {len(line) % 4}"
    found = [line for line in prompt.splitlines() if line.startswith("[")]
    identifiers = [line.split("] ", 1)[0] + "]" for line in sorted(found, key=lambda line: line.split("] ", 1)[1])]
    return " > ".join(identifiers)


@pytest.fixture
def words(here: Path, limbeck: Limbeck, server: Any) -> tuple[object, ...]:
    """What every verb of teachers is told, but its teacher and its output; the endpoint answers."""
    server.reply = by_text
    limbeck("retrieve", "bm25", "--collection", "mini/train", "--depth", 6, "--output", "train.run")
    return ("--collection", "mini/train", "--run", "train.run")


@pytest.fixture
def endpoint(server: Any) -> tuple[object, ...]:
    return ("--model", "wise", "--endpoint", server.url, "--retries", 0)


def test_an_llm_orders_and_a_student_learns_from_it(
    here: Path, words: Any, endpoint: Any, limbeck: Limbeck, as_json: AsJson, server: Any
) -> None:
    command = ("teach", "llm", *endpoint, *words, "--window", 4, "--step", 2, "--passes", 3, "--output", "l.parquet")
    facts = as_json(*command, "--ranking", "llm.run")
    assert facts["signals"]["teacher_order"]["distinct"] == 6
    assert facts["metadata"]["teacher"] == "wise"
    assert facts["metadata"]["queries_excluded"] == "0"
    documents, lists = load_collection("mini/train").documents, read_lists(here / "l.parquet")
    for row in map(lists.__getitem__, range(len(lists))):
        by_order = sorted(row.passage_ids, key=lambda docid: -row.teacher_order[row.passage_ids.index(docid)])
        assert by_order == sorted(row.passage_ids, key=documents.__getitem__)
        assert read_run(here / "llm.run")[row.query_id].docids == tuple(by_order)
    report = limbeck("teach", "report", "l.parquet", "--collection", "mini/train").stdout
    assert "5 queries that all have" in report
    assert as_json("teach", "report", "l.parquet", "l.parquet", "--collection", "mini/train")["queries"] == 5
    spent = as_json("teach", "report", "l.parquet", "--collection", "mini/train")["spent"]["l.parquet"]
    asked = len(server.requests)
    assert (spent["queries"], spent["calls"], spent["failed"], spent["tokens"]) == (5, asked, 0, asked * 15)
    assert "l.calls.jsonl: 0 calls made, 30 found here; defects of answers: none" in limbeck(*command).stderr
    assert len(server.requests) == asked
    shown = limbeck("teach", "status", "l.calls.jsonl").stdout
    assert "5 of 5 queries done, 0 excluded, 0 left" in shown
    assert as_json("teach", "status", "l.calls.jsonl")["calls"] == asked
    limbeck(
        "train", "--backbone", "bert", "--objective", "RankNet", "--lists", "l.parquet", "--collection", "mini/train",
        "--steps", 2, "--lists-per-step", 2, "--max-length", 20, "--output", "student",
    )  # fmt: skip
    assert (here / "student" / "model" / "model.safetensors").exists()


def test_excluded_queries_are_said_and_end_with_7(words: Any, endpoint: Any, limbeck: Limbeck, server: Any) -> None:
    query = load_collection("mini/train").queries["q2"]
    server.reply = lambda body, n: "No." if f"query: {query}." in body["messages"][-1]["content"] else by_text(body)
    found = limbeck("teach", "llm", *endpoint, *words, "--output", "l.parquet", code=7)
    assert "1 query excluded, as no usable answer came: the first is q2 (3 refusal)" in found.stderr
    assert "q2" not in read_lists("l.parquet").query_ids
    assert "4 of 5 queries done, 1 excluded" in limbeck("teach", "status", "l.calls.jsonl").stdout


def test_without_a_single_usable_answer_nothing_is_written(
    words: Any, endpoint: Any, limbeck: Limbeck, server: Any
) -> None:
    server.reply = lambda body, n: "I'm sorry."
    found = limbeck("teach", "llm", *endpoint, *words, "--output", "l.parquet", code=5)
    assert "no answer was usable, of 5 queries (15 refusal)" in found.stderr
    assert not Path("l.parquet").exists()


def test_why_an_endpoint_refuses_is_told_by_status(words: Any, endpoint: Any, limbeck: Limbeck, server: Any) -> None:
    server.reply = lambda body, n: server.fault(400, body=b'{"error": "no such parameter: seed"}')
    found = limbeck("teach", "llm", *endpoint, *words, "--output", "l.parquet", code=5)
    assert "5 call failed" in found.stderr
    assert "`limbeck teach status l.calls.jsonl`" in found.stderr
    shown = limbeck("teach", "status", "l.calls.jsonl").stdout
    assert "not answered, 5 times: HTTP 400" in shown
    assert "no such parameter: seed" in shown


def test_a_report_says_what_an_llm_cost_and_how_often_it_failed(
    here: Path, words: Any, endpoint: Any, limbeck: Limbeck, as_json: AsJson, server: Any
) -> None:
    server.reply = lambda body, n: server.fault(500) if n == 0 else by_text(body)
    command = ("teach", "llm", *endpoint, *words, "--concurrency", 1, "--output", "l.parquet")
    priced = (*command, "--price-in", 1.5, "--price-out", 2)
    limbeck(*priced, code=7)
    limbeck(*priced)
    report = ("teach", "report", "l.parquet", "--collection", "mini/train")
    spent = as_json(*report)["spent"]["l.parquet"]
    assert (spent["calls"], spent["failed"], spent["tokens"]) == (5, 1, 5 * 15)
    assert spent["money"] == pytest.approx(5 * (10 * 1.5 + 5 * 2) / 1e6)
    shown = limbeck(*report).stdout
    assert "failed" in shown
    assert "0.000025" in shown
    (here / "moved").mkdir()
    for name in ("l.parquet", "l.calls.jsonl"):
        (here / name).rename(here / "moved" / name)
    moved = ("teach", "report", "moved/l.parquet", "--collection", "mini/train")
    assert as_json(*moved)["spent"]["l.parquet"] == spent
    (here / "moved" / "l.calls.jsonl").unlink()
    assert "its calls are not in l.calls.jsonl any more" in limbeck(*moved).stderr


def test_a_budget_that_ends_early_leaves_the_rest_for_the_next_time(
    words: Any, endpoint: Any, limbeck: Limbeck, server: Any
) -> None:
    command = ("teach", "llm", *endpoint, *words, "--output", "l.parquet", "--concurrency", 1)
    found = limbeck(*command, "--budget-tokens", 100, code=2)
    assert "does not allow another call" in found.stderr
    assert server.requests == []
    (most,) = re.findall("up to ([0-9,]+) tokens", found.stderr)
    found = limbeck(*command, "--budget-tokens", int(most.replace(",", "")) + 20, code=7)
    assert 0 < len(server.requests) < 5
    assert f"{5 - len(server.requests)} queries left; the same command goes on" in found.stderr
    limbeck(*command)
    assert len(server.requests) == 5


def test_an_endpoint_that_does_not_answer_is_a_missing_thing(words: Any, limbeck: Limbeck) -> None:
    there = ("--model", "wise", "--endpoint", "http://127.0.0.1:9/v1", "--retries", 0, "--orders", 4)
    found = limbeck("teach", "llm", *there, *words, "--output", "l.parquet", code=3)
    assert re.search("1[0-3] calls in a row were not answered, the last one: cannot be reached", found.stderr)


def test_an_llm_judges_and_its_judgments_are_a_collections(
    here: Path, words: Any, endpoint: Any, limbeck: Limbeck, as_json: AsJson
) -> None:
    facts = as_json("teach", "judge", *endpoint, *words, "--output", "j.parquet", "--qrels", "judged.tsv")
    assert set(facts["signals"]) == {"labels"}
    assert facts["metadata"]["labels_from"] == "wise"
    (here / "own").mkdir()
    for name in ("corpus.jsonl", "queries.jsonl"):
        (here / "own" / name).symlink_to(here / "mini" / name)
    (here / "own" / "qrels").mkdir()
    (here / "judged.tsv").rename(here / "own" / "qrels" / "train.tsv")
    assert "nDCG@10" in limbeck("evaluate", "--collection", "own/train", "train.run").stdout


def test_the_runs_own_scores_are_taught_beside_a_teachers(here: Path, words: Any, limbeck: Limbeck) -> None:
    for weight in (0, 0.5):
        limbeck(
            "teach", "biencoder", "--model", "dual", *words, "--run-weight", weight, "--output", f"{weight}.parquet"
        )
    alone, both, run = read_lists("0.parquet"), read_lists("0.5.parquet"), read_run(here / "train.run")
    assert (alone.metadata.get("run_weight"), both.metadata["run_weight"]) == (None, "0.5")
    for one, two in zip(
        map(alone.__getitem__, range(len(alone))), map(both.__getitem__, range(len(both))), strict=True
    ):
        bm25, own = run[one.query_id].scores, one.teacher_scores
        assert one.passage_ids == two.passage_ids == list(run[one.query_id].docids)
        stretched = (bm25 - bm25.min()) / np.ptp(bm25) * np.ptp(own)
        np.testing.assert_allclose(two.teacher_scores, own + 0.5 * stretched, rtol=1e-6)


def test_an_ensemble_teaches_and_keeps_its_members_scores(
    here: Path, words: Any, limbeck: Limbeck, as_json: AsJson, make_cross_encoder: Callable[[str, int], str]
) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        make_cross_encoder(name, seed)
    both = ("teach", "ensemble", "--model", "one", "--model", "two", *words, "--output", "e.parquet")
    facts = as_json(*both, "--combine", "standardised", "--ranking", "e.run")
    assert set(facts["signals"]) == {"labels", "teacher_order", "teacher_scores"}
    assert facts["metadata"]["teacher"] == "one + two"
    lists, ranking = read_lists("e.parquet"), read_run("e.run")
    assert lists.teacher_scores is not None
    for query_id, docids, scores in zip(lists.query_ids, lists.passage_ids, lists.teacher_scores, strict=True):
        found = dict(zip(ranking[query_id].docids, ranking[query_id].scores, strict=True))
        assert [found[docid] for docid in docids] == pytest.approx(scores.tolist(), abs=1e-6)
    assert len(list((here / "e.scores").iterdir())) == 2
    limbeck("teach", "ensemble", "--model", "two", *words, "--output", "f.parquet", "--scores", "e.scores")
    assert len(list((here / "e.scores").iterdir())) == 2
    assert read_lists("e.parquet") != read_lists("f.parquet")
    assert "is not one of 'mean', 'standardised'" in limbeck(*both, "--combine", "best", code=2).stderr


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--endpoint", "ftp://x"), 2, "expected a URL"),
        (("--endpoint", "http://127.0.0.1:9", "--step", 20), 2, "smaller step"),
        (("--endpoint", "http://127.0.0.1:9", "--prompt", "rank_gtp"), 3, 'did you mean "rank_gpt"'),
        (("--endpoint", "http://127.0.0.1:9", "--budget-money", 1), 2, "--price-in"),
        (("--endpoint", "http://127.0.0.1:9", "--parameter", "top_k"), 2, "expected NAME=JSON"),
        (("--endpoint", "http://127.0.0.1:9", "--parameter", "n=4"), 2, "expected NAME=JSON"),
        (("--endpoint", "http://127.0.0.1:9", "--parameter", "max_tokens=null"), 2, "or max_completion_tokens"),
        (("--endpoint", "http://127.0.0.1:9", "--parameter", 'api_key="sk-x"'), 2, "is recorded with every call"),
        (("--endpoint", "http://127.0.0.1:9", "--key-variable", "sk-x"), 2, "name of an environment variable"),
        ((), 3, "wise"),
    ],
)
def test_a_users_mistake_is_one_clear_text(words: Any, limbeck: Limbeck, options: Any, code: int, text: str) -> None:
    found = limbeck("teach", "llm", "--model", "./wise", *options, *words, "--output", "l.parquet", code=code)
    assert text in found.stderr
    assert "sk-x" not in found.stderr


def test_lists_in_the_place_of_their_calls_are_told_from_them(
    here: Path, words: Any, endpoint: Any, limbeck: Limbeck
) -> None:
    limbeck("teach", "judge", *endpoint, *words, "--output", "l.parquet")
    found = limbeck("teach", "status", "l.parquet", code=5)
    assert "the calls beside it are in l.calls.jsonl" in " ".join(found.stderr.split())
