"""Publishing uploads what was shown: the real client, talking to a server that stands for the Hub."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from limbeck.core.errors import MissingError, UsageError
from limbeck.export import plan_upload, push

SECRET = "hf_secret_of_kim"
LARGE = b"weights" * 1000


@dataclass
class Hub:
    """What a Hub has received: repositories asked for, large files by hash, commits, and the tokens that came along."""

    url: str = ""
    status: int = 200
    made: list[dict[str, Any]] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    commits: list[dict[str, bytes]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        """The Hub's HTTP interface, as far as an upload uses it."""
        if path == "/api/repos/create":
            self.made.append(json.loads(body))
            return {"url": f"{self.url}/kim/model", "id": "1"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "lfs" if f["size"] > 1000 else "regular"} for f in files]
            return {"files": [{**mode, "shouldIgnore": False} for mode in modes]}
        if path.endswith("/objects/batch"):
            objects = json.loads(body)["objects"]
            return {"objects": [{**o, "actions": {"upload": {"href": f"{self.url}/put/{o['oid']}"}}} for o in objects]}
        if path.startswith("/put/"):
            self.stored[path.removeprefix("/put/")] = body
            return {}
        assert "/commit/" in path
        lines = [json.loads(line) for line in body.splitlines()]
        files = {x["value"]["path"]: base64.b64decode(x["value"]["content"]) for x in lines if x["key"] == "file"}
        large = {x["value"]["path"]: self.stored[x["value"]["oid"]] for x in lines if x["key"] == "lfsFile"}
        self.commits.append(files | large)
        return {"commitUrl": f"{self.url}/kim/model/commit/abc", "commitOid": "abc", "hookOutput": ""}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            state.tokens.add(str(self.headers["Authorization"]))
            content = json.dumps(state.answer(self.path.partition("?")[0], body)).encode()
            self.send_response(state.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", state.url)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # The stand-in speaks the older of the Hub's two protocols for large files.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield state
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name, content in {
        "README.md": b"---\nlicense: mit\n---\n",
        "config.json": b"{}",
        "model.safetensors": LARGE,
        "onnx/model.onnx": b"onnx",
        ".cache/left": b"x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_what_is_shown_is_uploaded_in_one_commit(hub: Hub, exported: Path) -> None:
    upload = plan_upload(exported, "kim/model", private=True)
    assert upload.files == {"README.md": 21, "config.json": 2, "model.safetensors": len(LARGE), "onnx/model.onnx": 4}
    assert upload.bytes == 27 + len(LARGE)
    assert hub.made == hub.commits == []
    assert push(upload) == f"{hub.url}/kim/model/commit/abc"
    [commit] = hub.commits
    assert {name: (exported / name).read_bytes() for name in upload.files} == commit
    assert hashlib.sha256(LARGE).hexdigest() in hub.stored


@pytest.mark.parametrize("private", [True, False])
def test_a_new_repository_is_private_unless_it_is_to_be_public(hub: Hub, exported: Path, private: bool) -> None:
    push(plan_upload(exported, "kim/model", private))
    [made] = hub.made
    assert made.get("private", made.get("visibility")) in ((True, "private") if private else (False, "public"))


def test_the_token_comes_from_the_environment_alone(
    hub: Hub, exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    push(plan_upload(exported, "kim/model", private=True))
    assert f"Bearer {SECRET}" in hub.tokens
    (tmp_path / "token").write_text("hf_of_the_file")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(MissingError, match="no token: set HF_TOKEN"):
        push(plan_upload(exported, "kim/model", private=True))


def test_a_refusal_is_one_error_without_the_token(hub: Hub, exported: Path) -> None:
    hub.status = 403
    with pytest.raises(MissingError, match=r"kim/model: not published: .*403") as refusal:
        push(plan_upload(exported, "kim/model", private=True))
    assert SECRET not in str(refusal.value)
    assert hub.commits == []


def test_what_export_did_not_write_is_not_published(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MissingError, match=r"lacks config.json and README.md; expected the --output of `limbeck export`"
    ):
        plan_upload(tmp_path, "kim/model", private=True)
    (exported / "model.safetensors").unlink()
    with pytest.raises(MissingError, match=r"lacks model.safetensors"):
        plan_upload(exported, "kim/model", private=True)


@pytest.mark.parametrize("repo", ["model", "kim/model/x", "kim/mo del"])
def test_an_impossible_repository_is_refused(exported: Path, repo: str) -> None:
    with pytest.raises(UsageError, match=repo):
        plan_upload(exported, repo, private=True)
