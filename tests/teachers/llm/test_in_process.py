import json
import shutil
import threading

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from limbeck.core.errors import MissingError, UsageError
from limbeck.teachers.llm import (
    Budget,
    Call,
    CallStore,
    Cap,
    InProcess,
    LanguageModel,
    Listwise,
    LLMClient,
    LLMSession,
    Reranker,
    read_template,
)

GREEDY = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 12, "seed": 1}
MESSAGES = ({"role": "user", "content": "rank these"},)


def answer(model, parameters, messages=MESSAGES):
    engine = InProcess(model, parameters)
    return engine.answer(Call(engine.model, engine.revision, parameters, messages, 0, {}))


@pytest.fixture(scope="module")
def model(chat_model):
    return LanguageModel.load(str(chat_model))


def test_greedy_answers_are_those_of_plain_transformers(chat_model, model):
    tokenizer, plain = (
        AutoTokenizer.from_pretrained(chat_model),
        AutoModelForCausalLM.from_pretrained(chat_model).eval(),
    )
    prompt = tokenizer.apply_chat_template(list(MESSAGES), add_generation_prompt=True, return_tensors="pt")["input_ids"]
    ids = prompt
    for _ in range(12):
        with torch.no_grad():
            ids = torch.cat([ids, plain(ids).logits[:, -1].argmax(-1, keepdim=True)], dim=1)
    found = answer(model, GREEDY)
    assert found.text == tokenizer.decode(ids[0, prompt.shape[1] :], skip_special_tokens=True)
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (prompt.shape[1], 12)
    assert found.finish_reason == "length"


def test_sampling_is_decided_by_the_parameters_and_the_seed_alone(model):
    hot = {**GREEDY, "temperature": 1.5}
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert answer(model, hot).text == answer(model, hot).text
    assert torch.equal(torch.get_rng_state(), before)
    assert len({answer(model, {**hot, "seed": seed}).text for seed in range(5)}) > 1
    assert answer(model, {**hot, "top_p": 1e-6}).text == answer(model, GREEDY).text


def test_what_the_checkpoint_says_of_sampling_is_left_aside(chat_model, model, tmp_path):
    folder = tmp_path / "opinionated"
    shutil.copytree(chat_model, folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {
        "do_sample": True,
        "temperature": 1.9,
        "repetition_penalty": 5.0,
        "top_k": 1,
        "no_repeat_ngram_size": 1,
    }
    (folder / "generation_config.json").write_text(json.dumps(settings))
    opinionated = LanguageModel.load(str(folder))
    hot = {**GREEDY, "temperature": 1.5, "max_tokens": 40}
    assert answer(opinionated, {**GREEDY, "max_tokens": 40}).text == answer(model, {**GREEDY, "max_tokens": 40}).text
    assert answer(opinionated, hot).text == answer(model, hot).text


def test_a_prompt_that_does_not_fit_is_refused_with_what_helps(model):
    with pytest.raises(UsageError, match=r"more than its 2,048; take a smaller --window"):
        answer(model, GREEDY, ({"role": "user", "content": "x" * 3000},))


def test_parameters_that_are_not_known_in_process_are_refused(model):
    with pytest.raises(UsageError, match="parameter presence_penalty"):
        InProcess(model, {**GREEDY, "presence_penalty": 1.0})


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(MissingError, match="no such folder"):
        LanguageModel.load("/nowhere/model")
    with pytest.raises(MissingError, match=r"pip install (no-such-llm|gguf)"):
        LanguageModel.load("package:no-such-llm/x.gguf")


def test_a_job_runs_in_process_and_babble_gives_no_order(model, collection, run, tmp_path):
    stopping = threading.Event()
    with CallStore(tmp_path / "calls.jsonl") as store:
        work = LLMSession(LLMClient(InProcess(model, GREEDY), store, Budget(Cap()), stopping), 1, stopping)
        job = Reranker(work, collection, run.cut(3))
        outcome = job.rank(Listwise(read_template("rank_zephyr"), 3, 1, attempts=2))
        assert (outcome.orders, set(outcome.excluded), store.made) == ({}, {"q1", "q2"}, 4)
        job.rank(Listwise(read_template("rank_zephyr"), 3, 1, attempts=2))
        assert (store.made, store.found) == (4, 4)
