"""The service as clients meet it: over HTTP, against a model that really scores."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from limbeck.cli import app
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.serve.app import create_app
from limbeck.serve.config import ServeSettings
from limbeck.serve.scorer import QueueFull, Scorer

uvicorn = pytest.importorskip("uvicorn")
QUERY = "who heats the still?"
PASSAGES = [
    "the alembic boils",
    "ether drips into a flask of glass, slowly",
    "nobody knows",
    "the copper glows and glows",
]


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        status, content, _ = self.raw(path, None if body is None else json.dumps(body).encode(), **headers)
        return status, json.loads(content)

    def raw(self, path: str, content: bytes | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST" if content is not None else "GET", path, content, headers)
        answer = connection.getresponse()
        found = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        connection.close()
        return found


@pytest.fixture(scope="module")
def encoder(family_folder: Any) -> CrossEncoder:
    return CrossEncoder.load(family_folder("bert"), max_length=32, query_tokens=8)


def serving(app: Any) -> Iterator[Client]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Client(port)
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def service(encoder: CrossEncoder) -> Iterator[Client]:
    yield from serving(create_app(encoder, ServeSettings(name="still", max_body=10_000)))


@pytest.fixture(scope="module")
def raw(encoder: CrossEncoder) -> np.ndarray[Any, Any]:
    return encoder.score([(QUERY, passage) for passage in PASSAGES])


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_results_are_ranked_by_the_models_own_scores(service: Client, raw: np.ndarray[Any, Any], path: str) -> None:
    body = {"model": "rerank-v3.5", "query": QUERY, "documents": PASSAGES, "top_n": None, "max_tokens_per_doc": 4096}
    status, answer = service(path, body)
    assert status == 200
    assert [one["index"] for one in answer["results"]] == list(np.argsort(-raw, kind="stable"))
    found = {one["index"]: one["relevance_score"] for one in answer["results"]}
    np.testing.assert_allclose([found[i] for i in range(4)], 1 / (1 + np.exp(-raw.astype(float))), rtol=1e-5)
    assert answer["object"] == "rerank"
    assert answer["model"] == "still"
    assert answer["meta"]["scores"] == "sigmoid"
    assert answer["usage"]["total_tokens"] > 20


def test_documents_come_back_as_each_client_reads_them(service: Client) -> None:
    documents = [PASSAGES[0], {"text": PASSAGES[1], "page": 3}]
    _, answer = service("/v1/rerank", {"query": QUERY, "documents": documents, "return_documents": True, "top_n": 5})
    assert {one["index"]: one["document"] for one in answer["results"]} == {0: {"text": PASSAGES[0]}, 1: documents[1]}
    _, voyage = service("/v1/rerank", {"query": QUERY, "documents": PASSAGES, "top_k": 2, "return_documents": True})
    assert [set(one) for one in voyage["data"]] == [{"index", "relevance_score", "document"}] * 2
    assert all(one["document"] == PASSAGES[one["index"]] for one in voyage["data"])
    _, tei = service("/rerank", {"query": QUERY, "texts": PASSAGES, "raw_scores": False, "return_text": True})
    assert [set(one) for one in tei] == [{"index", "score", "text"}] * 4


def test_scores_come_raw_on_request_and_in_the_requests_order(service: Client, raw: np.ndarray[Any, Any]) -> None:
    _, answer = service("/v1/score", {"text_1": QUERY, "text_2": PASSAGES, "raw_scores": True})
    np.testing.assert_allclose([one["score"] for one in answer["data"]], raw, atol=1e-5)
    assert answer["meta"]["scores"] == "raw"


def test_long_passages_are_counted_cut_or_scored_in_windows_and_the_query_is_kept(
    service: Client, encoder: CrossEncoder
) -> None:
    long = " ".join(PASSAGES * 5)
    body = {"query": QUERY, "documents": [long, "glass"], "raw_scores": True}
    _, cut = service("/v1/rerank", body)
    assert cut["meta"]["warnings"] == ["1 passage cut to what fits beside the query (32 tokens for a pair)"]
    _, windows = service("/v1/rerank", body | {"long": "max-passage"})
    assert "warnings" not in windows["meta"]
    by_index = {one["index"]: one["relevance_score"] for one in windows["results"]}
    assert by_index[0] >= {one["index"]: one["relevance_score"] for one in cut["results"]}[0] - 1e-6
    assert service("/v1/rerank", body | {"truncation": False})[0] == 400
    _, question = service("/v1/rerank", {"query": " ".join([QUERY] * 4), "documents": ["glass"]})
    assert question["meta"]["warnings"] == ["the query was cut to 8 tokens"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"documents": PASSAGES}, "query"),
        ({"query": " ", "documents": PASSAGES}, "query"),
        ({"query": QUERY, "documents": []}, "documents"),
        ({"query": QUERY, "documents": None}, "documents"),
        ({"query": QUERY, "documents": [3]}, "documents.0"),
        ({"query": QUERY, "documents": [{"title": "glass"}]}, "documents.0"),
        ({"query": QUERY, "documents": PASSAGES, "top_n": 0}, "top_n"),
        ({"query": QUERY, "documents": PASSAGES, "top_n": "3"}, "top_n"),
        ({"query": QUERY, "documents": PASSAGES, "long": "fold"}, "long"),
        ([1], "object"),
        ({"query": QUERY, "documents": [3] * 900}, "documents.0"),
        ({"query": QUERY, "documents": [{"text": "glass"}], "rank_fields": []}, "rank_fields"),
        ({"query": "", "texts": PASSAGES}, "query"),
        ({"query": QUERY, "documents": ["glass \ud800"]}, "half a surrogate pair"),
        ({"query": QUERY, "documents": [{"text": "glass", "price": float("nan")}], "return_documents": True}, "NaN"),
    ],
)
def test_a_bad_request_is_told_once_and_never_retried(service: Client, body: Any, said: str) -> None:
    status, answer = service("/v1/rerank", body)
    assert status == 400
    assert said in answer["message"]
    assert len(answer["message"]) < 400


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 9_000, rb'"\ud800', b"\xff\xfe", b'{"query": 1e999}'])
def test_what_is_no_json_is_a_bad_request(service: Client, content: bytes) -> None:
    assert service.raw("/v1/rerank", content)[0] == 400


def test_a_route_that_is_not_there_is_told_as_json_with_those_that_are(service: Client) -> None:
    for path, body, status in (("/v1", {"query": QUERY}, 404), ("/v1/rerank", None, 405)):
        found, answer = service(path, body)
        assert found == status
        assert "no such route; there are POST /v1/rerank" in answer["message"]


def test_a_body_beyond_the_limit_is_refused(service: Client) -> None:
    assert service("/v1/rerank", {"query": QUERY, "documents": ["glass" * 3000]})[0] == 413
    sent_whole = service("/v1/rerank", {"query": QUERY, "documents": ["glass" * 15_000]})
    assert sent_whole[0] == 413
    assert service.raw("/v1/rerank", b"{", **{"Content-Length": "99999999999"})[0] == 413


def test_a_body_that_does_not_come_is_given_up(service: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.serve.app.BODY_SECONDS", 0.05)
    status, content, _ = service.raw("/v1/rerank", b"{", **{"Content-Length": "100"})
    assert (status, "did not come within" in json.loads(content)["message"]) == (408, True)


@pytest.mark.parametrize("scores", [lambda *_: 1 / 0, lambda *_: np.full(1, np.nan, np.float32)])
def test_a_request_that_cannot_be_scored_is_told_as_json(
    service: Client, monkeypatch: pytest.MonkeyPatch, scores: Any
) -> None:
    monkeypatch.setattr(CrossEncoder, "score_rows", scores)
    status, answer = service("/v1/rerank", {"query": QUERY, "documents": ["glass"]})
    assert (status, answer["error"]["type"]) == (500, "server_error")


def test_health_models_and_metrics_are_told(service: Client) -> None:
    assert service("/health") == (200, {"status": "ok", "model": "still"})
    assert service("/v1/models")[1]["data"][0]["id"] == "still"
    assert b'limbeck_requests_total{route="/v1/rerank",status="200"}' in service.raw("/metrics")[1]


def test_a_key_is_asked_for_where_there_is_one(encoder: CrossEncoder) -> None:
    for client in serving(create_app(encoder, ServeSettings(), key="secret")):
        body = {"query": QUERY, "documents": PASSAGES}
        assert client("/v1/rerank", body)[0] == 401
        assert client("/v1/rerank", body, Authorization="Bearer wrong")[0] == 401
        assert client("/v1/rerank", body, Authorization="Bearer secret")[0] == 200
        assert client("/health")[0] == 200


def test_requests_together_get_the_scores_that_each_gets_alone(encoder: CrossEncoder) -> None:
    scorer = Scorer(encoder, "fp32", 96, 10_000)
    texts = [[f"{passage} {number}" for passage in PASSAGES[: 1 + number % 4]] for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda passages: scorer.submit(scorer.prepare([QUERY], passages)).result(300), texts))
    scorer.close()
    for passages, scores in zip(texts, found, strict=True):
        np.testing.assert_allclose(scores.scores, encoder.score([(QUERY, p) for p in passages]), atol=1e-5)


def test_a_request_that_was_given_up_leaves_the_queue_and_a_full_one_refuses(encoder: CrossEncoder) -> None:
    scorer = Scorer(encoder, "fp32", 64, 100)
    many = scorer.prepare([QUERY], PASSAGES * 500)
    first = scorer.submit(many)  # an empty queue takes a request of any size
    with pytest.raises(QueueFull) as full:
        scorer.submit(many)
    assert 1 <= full.value.retry_after <= 60
    assert first.cancel()
    assert scorer.submit(scorer.prepare([QUERY], PASSAGES)).result(300).scores.shape == (4,)
    with pytest.raises(CancelledError):
        first.result()
    scorer.close()


def test_a_turn_that_fails_fails_its_requests_alone(encoder: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = Scorer(encoder, "fp32", 4096, 100)
    prepared = scorer.prepare([QUERY], PASSAGES)
    with monkeypatch.context() as patch:
        patch.setattr(CrossEncoder, "score_rows", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            scorer.submit(prepared).result(300)
    assert len(scorer.submit(prepared).result(300).scores) == 4
    scorer.close()


def test_a_port_that_is_in_use_is_told_before_a_model_is_loaded(service: Client) -> None:
    found = CliRunner().invoke(app, ["serve", "./absent", "--port", str(service.port)])
    assert found.exit_code == 2
    assert f"--port {service.port}: cannot be listened on: Address already in use" in found.output


def test_the_command_serves_and_sigterm_answers_what_waits(family_folder: Any, tmp_path: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "limbeck", "serve", str(family_folder("bert")), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stderr=subprocess.DEVNULL)
    client = Client(port)
    try:
        for _ in range(3000):
            try:
                if client("/health")[0] == 200:
                    break
            except OSError:
                time.sleep(0.1)
        with ThreadPoolExecutor(1) as pool:
            waits = pool.submit(client, "/v1/rerank", {"query": QUERY, "documents": PASSAGES * 200})
            while b"limbeck_pairs_waiting 0.0" in client.raw("/metrics")[1] and not waits.done():
                pass
            process.send_signal(signal.SIGTERM)
            assert waits.result(300)[0] == 200
        assert process.wait(300) in (0, -signal.SIGTERM)
    finally:
        process.kill()
