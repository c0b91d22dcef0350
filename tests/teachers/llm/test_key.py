"""The key of an endpoint goes nowhere but into the header of a call."""

import pytest

from limbeck.core.errors import UsageError
from limbeck.teachers.journal import read_journal
from limbeck.teachers.llm import Listwise, LLMSettings, read_template
from limbeck.teachers.llm.endpoint import Key, check_parameters

SECRET = 'sk-0/very+"secret'


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("LIMBECK_TEST_KEY", SECRET)
    return Key("LIMBECK_TEST_KEY")


@pytest.mark.parametrize(
    "repeated", [SECRET, r"sk-0/very+\"secret", r"sk-0\/very+" + '"secret', "sk-0%2Fvery%2B%22secret"]
)
def test_the_key_is_hidden_in_every_spelling_that_servers_repeat_it_in(key, repeated):
    assert key.hide(f"no such key: {repeated}, {repeated}") == "no such key: (key), (key)"


def test_a_word_that_a_server_of_ones_own_takes_for_a_key_changes_no_answer(monkeypatch):
    monkeypatch.setenv("LIMBECK_TEST_KEY", "1")
    assert Key("LIMBECK_TEST_KEY").hide("[2] > [1]") == "[2] > [1]"


@pytest.mark.parametrize("name", ["sk-very-secret", "verySecret0", ""])
def test_a_key_in_place_of_its_variables_name_is_refused_unseen(name):
    with pytest.raises(UsageError, match="expected the name of an environment variable") as error:
        LLMSettings(model="m", endpoint="http://127.0.0.1:9/v1", key_variable=name)
    assert not name or name not in str(error.value)


@pytest.mark.parametrize("name", ["api_key", "apiKey", "Authorization", "extra_headers", "token"])
def test_a_parameter_that_may_be_a_key_is_refused_unseen(name):
    with pytest.raises(UsageError, match=f"parameter {name}: is recorded with every call") as error:
        LLMSettings(model="m", endpoint="http://127.0.0.1:9/v1", parameters={name: "sk-hidden"})
    assert "sk-hidden" not in str(error.value)


def test_parameters_of_known_servers_are_none():
    check_parameters({"max_tokens": 1, "logit_bias": {}, "top_k": 1, "min_p": 0, "stop_token_ids": [], "user": "me"})


@pytest.mark.parametrize("options", [{"parameters": {"user": [SECRET]}}, {"revision": f"of {SECRET}"}])
def test_the_key_itself_among_what_is_recorded_is_refused_unseen(key, endpoint, options):
    with pytest.raises(UsageError, match="the key in LIMBECK_TEST_KEY stands in") as error:
        endpoint(**options)
    assert "secret" not in str(error.value)


def test_a_server_that_repeats_the_key_brings_it_into_no_file(key, server, make_job, tmp_path):
    def reply(body, n):
        sent = server.headers[n]["Authorization"]
        if n == 0:
            return server.fault(500, {"Location": f"/{sent}"}, body=sent.encode())
        if n == 1:
            return server.fault(400, body=f"{' ' * 290}{sent}".encode())
        return server.fault(body=server.completion(f"[1] {sent}", body | {"model": sent}, finish_reason=sent))

    server.reply = reply
    make_job(retries=1).rank(Listwise(read_template("rank_zephyr"), attempts=1))
    assert len(server.requests) == 3
    kept = list(read_journal(tmp_path / "calls.jsonl"))
    assert {"call", "failure"} <= {record["kind"] for record in kept}
    assert "(key)" in str(kept)
    assert not any("secret" in path.read_text() for path in tmp_path.rglob("*.jsonl"))
