import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest

from limbeck.core.download import fetch_file
from limbeck.core.errors import DataError, MissingError

CONTENT = Random(1).randbytes(700_000)
OTHER = Random(2).randbytes(700_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server:
    """A server on this machine that misbehaves as it is told to, one word for each request, the last one for all more.

    ok          as it should be, with ranges and an ETag
    breaks      ends the connection after 200,000 bytes
    wrong       sends other bytes, as many
    lies        states 1,000 bytes more than it sends
    whole       knows no ranges
    stubborn    both of the last two
    elsewhere   sends another range than was asked for
    a number    that status
    """

    def __init__(self, *modes: str) -> None:
        self.modes = list(modes)
        self.asked: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner.asked.append(self.headers.get("Range", ""))
                owner.answer(self, owner.modes.pop(0) if len(owner.modes) > 1 else owner.modes[0])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/file.tsv"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, mode: str) -> None:
        request.close_connection = True
        content = OTHER if mode == "wrong" else CONTENT
        if mode.isdigit():
            request.send_response(int(mode))
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        version = '"other"' if mode == "wrong" else '"one"'
        begin = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if request.headers.get("If-Range", version) != version or mode in ("whole", "stubborn"):
            begin = 0
        if begin >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        begin += 7 if mode == "elsewhere" and begin else 0
        body = content[begin:]
        request.send_response(206 if begin else 200)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        request.send_header("ETag", version)
        request.send_header("Content-Length", str(len(body) + (1000 if mode in ("lies", "stubborn") else 0)))
        request.end_headers()
        request.wfile.write(body[:200_000] if mode == "breaks" else body)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*modes: str) -> Server:
        servers.append(Server(*modes))
        return servers[-1]

    yield start
    for server in servers:
        server.server.shutdown()
        server.server.server_close()


def test_a_connection_that_breaks_off_is_gone_on_with_where_it_ended(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve("breaks")
    found = fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0)
    assert (tmp_path / "file.tsv").read_bytes() == CONTENT
    assert server.asked == ["", "bytes=200000-", "bytes=400000-", "bytes=600000-"]
    assert (found.bytes, found.digest, found.kept) == (700_000, MD5, False)
    assert [path.name for path in tmp_path.iterdir()] == ["file.tsv"]


def test_another_call_goes_on_from_what_came(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("breaks", "503")
    with pytest.raises(MissingError, match=r"busy or broken \(503\), 5 times .* 200,000 bytes that came are kept"):
        fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0)
    assert not (tmp_path / "file.tsv").exists()
    server.modes = ["ok"]
    fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0)
    assert server.asked[-1] == "bytes=200000-"
    assert (tmp_path / "file.tsv").read_bytes() == CONTENT


def test_a_length_that_is_a_lie_is_settled_by_the_checksum_and_by_the_server_itself(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    fetch_file(serve("lies").url, tmp_path / "file.tsv", MD5, pause=0)
    assert (tmp_path / "file.tsv").read_bytes() == CONTENT
    fetch_file(serve("lies").url, tmp_path / "unknown.tsv", pause=0)
    assert (tmp_path / "unknown.tsv").read_bytes() == CONTENT
    with pytest.raises(MissingError, match=r"ended|broke off"):
        fetch_file(serve("stubborn").url, tmp_path / "stubborn.tsv", MD5, pause=0)
    assert not (tmp_path / "stubborn.tsv").exists()


def test_wrong_bytes_are_refused_and_not_kept(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("wrong")
    with pytest.raises(DataError, match=rf"sent other bytes than were published: md5 \w+, expected {MD5}"):
        fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0)
    assert list(tmp_path.glob("file.tsv*")) == []
    assert server.asked == [""]


def test_parts_of_two_versions_are_not_joined(serve: Callable[..., Server], tmp_path: Path) -> None:
    # The server says by its ETag that it is another version: it is sent whole, and is the wrong one.
    with pytest.raises(DataError, match="sent other bytes"):
        fetch_file(serve("breaks", "wrong").url, tmp_path / "file.tsv", MD5, pause=0)
    # A part of unknown origin beside the name of another URL is not gone on with.
    (tmp_path / "file.tsv.part").write_bytes(OTHER[:300_000])
    (tmp_path / "file.tsv.part.json").write_text(json.dumps({"url": "http://elsewhere/file.tsv", "version": None}))
    server = serve("ok")
    fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0)
    assert server.asked == [""]


def test_a_damaged_part_is_begun_anew_once(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("ok")
    (tmp_path / "file.tsv.part").write_bytes(OTHER[:300_000])
    (tmp_path / "file.tsv.part.json").write_text(json.dumps({"url": server.url, "version": None}))
    fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0)
    assert server.asked == ["bytes=300000-", ""]
    assert (tmp_path / "file.tsv").read_bytes() == CONTENT


@pytest.mark.parametrize("mode", ["whole", "elsewhere"])
def test_a_server_without_ranges_or_with_wrong_ones_sends_the_whole(
    serve: Callable[..., Server], tmp_path: Path, mode: str
) -> None:
    fetch_file(serve("breaks", mode, "whole").url, tmp_path / "file.tsv", MD5, pause=0)
    assert (tmp_path / "file.tsv").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "words"), [("403", "accept its terms"), ("404", "no such file"), ("400", "HTTP 400")]
)
def test_a_refusal_is_not_tried_again(serve: Callable[..., Server], tmp_path: Path, status: str, words: str) -> None:
    server = serve(status)
    with pytest.raises(MissingError, match=words):
        fetch_file(server.url, tmp_path / "file.tsv", pause=0)
    assert len(server.asked) == 1


def test_what_is_there_is_verified_and_not_fetched(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("ok")
    (tmp_path / "file.tsv").write_bytes(CONTENT)
    assert fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0).kept
    (tmp_path / "file.tsv").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match=r"its md5 is \w+, expected \w+: another file, or a part of it"):
        fetch_file(server.url, tmp_path / "file.tsv", MD5, pause=0)
    assert server.asked == []
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert fetch_file(server.url, tmp_path / "new.tsv", sha256, pause=0).digest == sha256


def test_an_absent_server_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no connection"):
        fetch_file("http://127.0.0.1:9/file", tmp_path / "file.tsv", pause=0)
