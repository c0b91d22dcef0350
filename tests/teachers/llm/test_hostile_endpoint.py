"""What an endpoint sends cannot take memory, time, the budget or the key, whatever it sends."""

import gzip
import itertools
import resource
import time
import zlib
from base64 import b64encode

import pytest

from limbeck.core.errors import DataError, MissingError
from limbeck.teachers.journal import Journal, read_journal
from limbeck.teachers.llm import Call, CallFailed, Cap, Listwise, read_status, read_template, transport
from limbeck.teachers.llm.transport import MOST_BYTES

CALL = Call("test-model", "", {"temperature": 0.0, "max_tokens": 100}, ({"role": "user", "content": "[1] a"},), 0, {})
OK = b"HTTP/1.1 200 OK\r\n"
ZEPHYR = Listwise(read_template("rank_zephyr"), window=4, step=2)


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def endless():
    yield OK + b"\r\n"
    yield from itertools.repeat(b" " * 65_536, 4_000)  # 250 MiB, should anyone want them


def packed(unpacked):
    content = gzip.compress(unpacked)
    return OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(content) + content


def bomb():
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    yield OK + b"Content-Encoding: gzip\r\n\r\n"
    for _ in range(300):
        yield packer.compress(zeros)
    yield packer.flush()


def behind_the_end_of_gzip():
    yield OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}")
    yield from itertools.repeat(b"x" * 65_536, 4_000)


@pytest.mark.parametrize("body", [endless, bomb, behind_the_end_of_gzip])
def test_an_answer_without_end_takes_no_memory_and_is_given_up(server, endpoint, body):
    server.reply = lambda _, n: server.fault(raw=body)
    before = peak_mib()
    with pytest.raises(CallFailed, match=f"longer than {MOST_BYTES:,} bytes; given up after try 1") as failure:
        endpoint(retries=0).answer(CALL)
    assert failure.value.lost_tries == 1
    assert peak_mib() - before < 60


def test_a_refusal_without_end_is_read_in_part(server, endpoint):
    parts = [b"HTTP/1.1 400 Bad\r\n\r\n", b"too long\x1b[31m ", *[b"x" * 65_536] * 4_000]
    server.reply = lambda _, n: server.fault(raw=lambda: parts)
    with pytest.raises(CallFailed, match=r"HTTP 400: too long \[31m x+…$") as failure:
        endpoint().answer(CALL)
    assert len(str(failure.value)) < 400


def drip(parts, pause=0.02):
    for part in parts:
        time.sleep(pause)
        yield part


SLOW = {
    "head": lambda: drip([OK, *(b"X-%d: 1\r\n" % number for number in range(400))]),
    "body": lambda: drip([OK + b"\r\n", *[b" "] * 400]),
    "empty gzip": lambda: drip([OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10], *[b"\0"] * 200]),
}


@pytest.mark.parametrize("slow", ["head", "body"])
def test_an_answer_that_comes_byte_by_byte_is_given_up(server, endpoint, slow, monkeypatch):
    # The whole answer takes eight seconds; silence of any length that a busy machine may bring is allowed.
    monkeypatch.setattr(transport, "PATIENCE", 1 / 60)
    server.reply = lambda _, n: server.fault(raw=SLOW[slow])
    with pytest.raises(CallFailed, match=r"not complete after 1 s; given up after try 1") as failure:
        endpoint(retries=0, timeout=60).answer(CALL)
    assert failure.value.lost_tries == 1


def test_a_packed_answer_is_read_and_another_packing_is_not(server, endpoint):
    def reply(body, n):
        content = server.completion("[1]", body)
        return server.fault(raw=lambda: [packed(content) if n else packed(content).replace(b": gzip", b": zstd")])

    server.reply = reply
    answer = endpoint().answer(CALL)
    assert (answer.text, answer.lost_tries) == ("[1]", 1)


HUGE = ["1" + "0" * 400, "1" + "0" * 5_000, "1e300", "10000001", '"1' + "0" * 50 + '"', "NaN", "-1", "[1]"]


@pytest.mark.parametrize("count", HUGE)
def test_a_count_of_tokens_that_cannot_be_does_not_spend_the_budget(server, make_job, tmp_path, count):
    usage = b'"prompt_tokens": 10'
    server.reply = lambda body, n: server.fault(
        body=server.completion(server.by_number(body), body).replace(usage, b'"prompt_tokens": ' + count.encode())
        if n == 0
        else server.completion(server.by_number(body), body)
    )
    outcome = make_job(Cap(tokens=100_000)).rank(ZEPHYR)
    assert outcome.stopped is None
    assert set(outcome.orders) == {"q1", "q2"}
    status = read_status(tmp_path / "calls.jsonl")
    assert (status.guessed, status.prompt_tokens < 10_000) == (1, True)


DAMAGE = [
    (b'"prompt_tokens":10', b'"prompt_tokens":1' + b"0" * 30, "usage.prompt_tokens"),
    (b'"prompt_tokens":10', b'"prompt_tokens":1' + b"0" * 400, "a whole number of 401 digits"),
    (b'"lost_tries":0', b'"lost_tries":"0"', "lost_tries"),
    (b'"text":"', b'"text":["', "JSON"),
    (b'"usage":{', b'"usage":[{', "JSON"),
    (b'"key":', b'"kez":', "key: Field required"),
    (b'"seconds":', b'"seconds":NaN,"s":', "NaN is no JSON number"),
    (b'"kind":"call"', b'"kind":"cal"', "the record"),
    (b'"messages":', b'"messages":' + b"[" * 5_000 + b'],"m":', "not JSON|arrays and objects"),
    (b'"test-model"', b'"test-\xff"', "UTF-8"),
]


@pytest.mark.parametrize(("old", "new", "named"), DAMAGE)
def test_a_damaged_record_of_a_call_is_one_error_with_file_line_and_key(make_job, tmp_path, old, new, named):
    make_job().rank(ZEPHYR)
    path = tmp_path / "calls.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(old, new, 1), *lines[2:]]))
    for read in (make_job, lambda: read_status(path)):
        with pytest.raises(DataError, match=rf"calls\.jsonl:2: .*{named}"):
            read()


@pytest.mark.parametrize("encode", [b64encode, lambda key: key.hex().encode()])
def test_a_key_that_a_server_repeats_in_another_encoding_is_not_kept(server, make_job, tmp_path, monkeypatch, encode):
    monkeypatch.setenv("LIMBECK_TEST_KEY", "sk-very-secret")
    repeated = encode(b"Bearer sk-very-secret").decode()
    server.reply = lambda body, n: f"[1] {repeated}" if n else server.fault(400, body=repeated.encode())
    make_job().rank(Listwise(ZEPHYR.template, 4, 2, attempts=1))
    kept = (tmp_path / "calls.jsonl").read_text()
    assert repeated not in kept
    assert "(withheld: it repeats the key in another encoding)" in kept


def test_at_a_full_disk_calls_under_way_are_kept_and_no_further_one_begins(server, make_job, tmp_path):
    path = tmp_path / "calls.jsonl"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(body, n):
        # Both calls are under way when the disk is full but for what was reserved for them.
        while len(server.requests) < 2:
            time.sleep(0.01)
        if resource.getrlimit(resource.RLIMIT_FSIZE) == limits:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40_000, limits[1]))
        return server.by_number(body)

    server.reply = fill
    job = make_job(concurrency=2)
    try:
        with pytest.raises(MissingError, match=r"calls\.jsonl: cannot be written"):
            job.rank(ZEPHYR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sum(record["kind"] == "call" for record in read_journal(path)) == len(server.requests) < 10
    server.reply = server.by_number
    assert set(make_job().rank(ZEPHYR).orders) == {"q1", "q2"}


def test_room_that_is_held_for_an_answer_is_not_taken_by_a_count(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(tmp_path / "j.jsonl") as journal, journal.reserved(100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (110, limits[1]))
        try:
            with pytest.raises(MissingError, match="cannot be written"):
                journal.append({"count": "x" * 20})
            journal.append({"answer": "x" * 80}, own=100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [list(record) for record in read_journal(tmp_path / "j.jsonl")] == [["answer"]]


def test_an_answer_finds_its_room_while_that_of_another_one_is_not_given_back_yet(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(tmp_path / "j.jsonl") as journal, journal.reserved(100), journal.reserved(100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
        try:
            journal.append({"answer": "x" * 80}, own=100)
            journal.append({"answer": "y" * 80}, own=100)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(list(read_journal(tmp_path / "j.jsonl"))) == 2
