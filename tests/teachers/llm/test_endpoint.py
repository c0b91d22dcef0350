import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from limbeck.core.errors import MissingError, UsageError
from limbeck.teachers.llm import Address, Call, CallFailed, Endpoint, Usage
from limbeck.teachers.llm.transport import back_off, retry_after

MESSAGES = ({"role": "user", "content": "[1] a 1\n[2] b 2"},)
KEY = "sk-very-secret"


def call(**parameters):
    return Call("test-model", "", {"temperature": 0.0, "max_tokens": 100, **parameters}, MESSAGES, 0, {})


def test_what_is_sent_is_what_is_recorded(server, endpoint):
    answer = endpoint().answer(call(top_k=-1, seed=None))
    (body,) = server.requests
    assert body == {
        "model": "test-model", "messages": list(MESSAGES), "stream": False, "temperature": 0.0, "max_tokens": 100,
        "top_k": -1,
    }  # fmt: skip
    assert (answer.text, answer.finish_reason, answer.usage) == ("[2] > [1]", "stop", Usage(10, 5))
    assert answer.served_by == "test-model-0613"
    assert "Authorization" not in server.headers[0]


def test_an_answer_that_does_not_unpack_is_tried_again(server, endpoint):
    packed = server.fault(headers={"Content-Encoding": "gzip"}, body=b"no gzip")
    server.reply = lambda body, n: server.by_number(body, n) if n else packed
    answer = endpoint().answer(call())
    assert (answer.text, answer.tries, answer.lost_tries) == ("[2] > [1]", 2, 1)


USAGES = [
    b"{}",
    b'{"total_tokens": 15}',
    b'{"prompt_tokens": 10}',
    b"null",
    b'{"prompt_tokens": 1e999, "completion_tokens": 5}',
    b'{"prompt_tokens": 10, "completion_tokens": -500}',
]


@pytest.mark.parametrize("usage", USAGES)
def test_an_answer_whose_tokens_are_not_told_whole_is_taken_without_them(server, endpoint, usage):
    counts = b'{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}'
    server.reply = lambda body, n: server.fault(body=server.completion("[1]", body).replace(counts, usage))
    answer = endpoint().answer(call())
    assert (answer.text, answer.usage, answer.tries) == ("[1]", None, 1)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, None),
        (503, None),
        (429, None),
        (200, b'{"choices": [{"mess'),
        (200, b"[]"),
        (200, b'{"choices": []}'),
        (200, b"[" * 99_999),
    ],
)
def test_what_may_pass_is_tried_again(server, endpoint, status, body):
    fault = server.fault(status, body=body)
    server.reply = lambda body, n: fault if n < 2 else server.by_number(body, n)
    answer = endpoint().answer(call())
    assert (answer.text, answer.tries, len(server.requests)) == ("[2] > [1]", 3, 3)


def test_a_timeout_is_tried_again_and_what_it_may_have_cost_is_said(server, endpoint):
    server.reply = lambda body, n: server.fault(pause=600)
    with pytest.raises(CallFailed, match=r"ReadTimeout.*given up after try 2") as failure:
        endpoint(timeout=0.4, retries=1).answer(call())
    assert failure.value.lost_tries == 2


def test_a_connection_that_breaks_within_an_answer_is_tried_again_and_what_it_may_have_cost_is_said(server, endpoint):
    server.reply = lambda body, n: server.by_number(body, n) if n else server.fault(sent=9)
    answer = endpoint().answer(call())
    assert (answer.text, answer.tries, answer.lost_tries) == ("[2] > [1]", 2, 1)


def test_a_gateway_that_stopped_waiting_may_have_let_the_answer_be_charged(server, endpoint):
    server.reply = lambda body, n: server.by_number(body, n) if n == 2 else server.fault((504, 500)[n])
    assert endpoint().answer(call()).lost_tries == 1


def test_retry_after_is_honoured(server, endpoint):
    server.reply = lambda body, n: server.by_number(body, n) if n else server.fault(429, {"Retry-After": "0.5"})
    began = time.monotonic()
    endpoint().answer(call())
    assert time.monotonic() - began >= 0.5


def test_one_who_asks_to_wait_for_hours_is_not_waited_for(server, endpoint):
    server.reply = lambda body, n: server.fault(429, {"Retry-After": "7200"})
    with pytest.raises(CallFailed, match="asks to wait 7200 s"):
        endpoint().answer(call())
    assert len(server.requests) == 1


def test_retry_after_may_be_a_date():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after((now + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT"), now) == 90
    assert retry_after("soon") is None
    assert retry_after("Mon, 01 Jan 99999999999 00:00:00 GMT") is None


def test_back_off_grows_to_a_minute_and_is_spread():
    class Most:
        random = staticmethod(lambda: 1.0)

    class Least:
        random = staticmethod(lambda: 0.0)

    assert [back_off(tries, 1.0, Most()) for tries in (1, 2, 3, 9)] == [1, 2, 4, 60]
    assert [back_off(tries, 1.0, Least()) for tries in (1, 2, 3, 9)] == [0.5, 1, 2, 30]


def test_a_call_that_is_refused_for_itself_is_not_tried_again(server, endpoint):
    server.reply = lambda body, n: server.fault(400, body=b'{"error": "context length exceeded"}')
    with pytest.raises(CallFailed, match=r"HTTP 400: .*context length"):
        endpoint().answer(call())
    assert len(server.requests) == 1


def test_an_endpoint_that_is_not_there_fails_the_call(server):
    engine = Endpoint(Address("http://127.0.0.1:9/v1"), "m", {}, "LIMBECK_TEST_KEY", retries=1, back_off=0.01)
    with pytest.raises(CallFailed, match=r"cannot be reached.*after try 2") as failure:
        engine.answer(call())
    assert failure.value.lost_tries == 0


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [(401, UsageError, "LIMBECK_TEST_KEY: it is not set"), (404, MissingError, "is there a model 'test-model'")],
)
def test_what_every_call_would_meet_ends_the_work(server, endpoint, status, error, text):
    server.reply = lambda body, n: server.fault(status)
    with pytest.raises(error, match=text):
        endpoint().answer(call())


def test_a_redirect_is_not_followed(server, endpoint):
    server.reply = lambda body, n: server.fault(307, {"Location": "http://127.0.0.2:1/elsewhere"})
    with pytest.raises(UsageError, match=r"127\.0\.0\.2:1/elsewhere.*sends calls elsewhere"):
        endpoint().answer(call())


def test_the_key_comes_from_the_environment_and_stays_out_of_sight(server, endpoint, monkeypatch, caplog):
    monkeypatch.setenv("LIMBECK_TEST_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    engine = endpoint()
    engine.answer(call())
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    server.reply = lambda body, n: server.fault(401, body=f"no such key: {KEY}{' ' * 270}{KEY}".encode())
    with pytest.raises(UsageError, match=r"no such key: \(key\)") as error:
        engine.answer(call())
    assert KEY not in f"{error.value} {engine!r} {caplog.text}"


@pytest.mark.parametrize("key", ["sk-very\nsecret", "sk-very…secret"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(endpoint, monkeypatch, key):
    monkeypatch.setenv("LIMBECK_TEST_KEY", key)
    with pytest.raises(UsageError, match="LIMBECK_TEST_KEY: holds a line's end") as error:
        endpoint()
    assert "secret" not in str(error.value)


def test_a_key_is_not_sent_over_an_open_network(monkeypatch):
    monkeypatch.setenv("LIMBECK_TEST_KEY", KEY)
    with pytest.raises(UsageError, match=r"10\.0\.0\.7.*unencrypted; use https"):
        Endpoint(Address("http://10.0.0.7:8000/v1"), "m", {}, "LIMBECK_TEST_KEY")
    Endpoint(Address("https://10.0.0.7:8000/v1"), "m", {}, "LIMBECK_TEST_KEY")
    monkeypatch.delenv("LIMBECK_TEST_KEY")
    assert Endpoint(Address("http://10.0.0.7:8000/v1"), "m", {}, "LIMBECK_TEST_KEY").address.is_readable_on_the_way


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000/v1",
        "ftp://me:secret@host/v1",
        "http:///v1",
        "https://me:secret@host/v1",
        "https://host/v1?key=secret",
        "https://host/v1?",
        "http://[::1/v1",
        "http://host:99999/v1",
        "http://ho\nst/v1",
        "http://127.0.0.1\\@evil.com/v1",
    ],
)
def test_an_address_that_may_hold_a_secret_or_is_none_is_refused(url):
    with pytest.raises(UsageError) as error:
        Address(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://localhost:1/v1", True),
        ("http://127.3.2.1/v1/", True),
        ("http://[::1]:8/v1", True),
        ("http://localhost.evil.com/v1", False),
        ("http://0.0.0.0/v1", False),
    ],
)
def test_loopback_is_this_machine_alone(url, loopback):
    assert Address(url).is_loopback == loopback


def test_this_machine_is_not_asked_through_a_proxy(server, endpoint, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert endpoint().answer(call()).text == "[2] > [1]"


def test_no_content_is_an_empty_answer_and_a_refusal_its_text(server, endpoint):
    def reply(body, n):
        found = server.completion("x", body).replace(
            b'"content": "x"', b'"content": null, "refusal": "no"' if n else b'"content": null'
        )
        return server.fault(body=found)

    server.reply = reply
    assert [endpoint().answer(call()).text for _ in range(2)] == ["", "no"]
