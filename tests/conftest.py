import gc
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

gc.disable()  # until all is imported
settings.register_profile(  # a slow or busy machine is no failure, and each run tries the same unless it is to explore
    "limbeck",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="LIMBECK_TEST_EXPLORE" not in os.environ,
)
settings.load_profile("limbeck")
ROOT = Path(__file__).resolve().parent.parent
SLOW = (
    "benchmarks/test_gpu_suite.py", "training/test_processes.py", "training/test_ordeal.py", "cli/test_service.py",
    "report/paper/test_paper_folder.py", "report/page/test_report_large.py", "cli/test_errors.py",
    "training/test_resume.py", "training/test_train.py", "study/rehearsal/test_rehearsal.py", "cli/test_verbs.py",
    "export/test_onnx.py", "retrieval/test_splade.py", "models/test_real_weights.py",
    "report/page/test_report_page.py", "models/test_backbones.py", "study/run/test_graph.py",
)  # fmt: skip
"""Files of the longest tests: a worker takes whole files (`--dist loadfile`), and the last should be short ones."""
Reply = Callable[[dict[str, Any], int], "str | Fault"]
PASSAGE = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)


def pytest_configure(config: pytest.Config) -> None:
    """The tiny models, whose imports take seconds: not in the process that only deals tests out."""
    if not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tiny_models")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of `SLOW` first."""
    rank = {ROOT / "tests" / name: number for number, name in enumerate(SLOW)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_collection_finish() -> None:
    """What is imported by now stays to the end: the collector need not look through it again and again."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """pytest collects garbage five times at its end: what is alive by now need not be looked through for that."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real collections, or a skip where this checkout has none beside it."""
    folder = Path(os.environ.get("LIMBECK_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "scifact").is_dir():
        pytest.skip(f"no real collections in {folder}; set LIMBECK_TEST_DATA to their folder")
    return folder


@dataclass(frozen=True)
class Fault:
    """What a server does instead of answering: a status, a pause, a body of its own, the first `sent` bytes of it.

    `raw` takes the place of all that: the bytes of head and body, part by part.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    pause: float = 0.0
    sent: int | None = None
    raw: Callable[[], Iterable[bytes]] | None = None


@dataclass
class Server:
    """The server: `reply` answers a request's body, given how many came before; `requests` are those that came."""

    url: str
    reply: Reply
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    usage: bool = True
    ended: threading.Event = field(default_factory=threading.Event)

    fault = Fault

    @staticmethod
    def completion(text: str, body: dict[str, Any], usage: bool = True, finish_reason: str = "stop") -> bytes:
        """A chat completion as endpoints send it."""
        counts = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
        found = {"object": "chat.completion", "model": f"{body['model']}-0613", "choices": [choice]}
        return json.dumps(found | ({"usage": counts} if usage else {})).encode()

    @staticmethod
    def passages(body: dict[str, Any]) -> list[tuple[str, str]]:
        """(identifier, text) of the passages in a request."""
        prompt = "\n".join(message["content"] for message in body["messages"] if message["role"] == "user")
        return PASSAGE.findall(prompt)

    @staticmethod
    def by_number(body: dict[str, Any], _: int = 0) -> str:
        """Rank passages by the last number in each, largest first: a model that is never wrong."""
        found = [(int(re.findall(r"\d+", text)[-1]), identifier) for identifier, text in Server.passages(body)]
        return " > ".join(f"[{identifier}]" for _, identifier in sorted(found, reverse=True))


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that ranks by number until a test gives it another `reply`."""
    state = Server("", Server.by_number)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(state.requests)
                state.requests.append(body)
                state.headers.append(dict(self.headers))
            reply = state.reply(body, number)
            if isinstance(reply, str):
                reply = Fault(body=state.completion(reply, body, state.usage))
            if reply.raw is not None:
                self.close_connection = True
                for part in reply.raw():
                    self.wfile.write(part)
                return
            state.ended.wait(reply.pause)
            content = reply.body or b'{"error": {"message": "as the test wants it"}}'
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: reply.sent])

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            # The client gave up, as some tests want.
            with suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.ended.set()
    listening.shutdown()
    thread.join()
    listening.server_close()
