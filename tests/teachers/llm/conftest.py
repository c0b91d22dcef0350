"""A real OpenAI-compatible server on loopback, whose faults a test chooses, and a tiny chat model."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from limbeck.collections import Collection
from limbeck.runs import Run
from limbeck.teachers.llm import Address, Asker, Budget, CallStore, Cap, Endpoint, Job

Reply = Callable[[dict[str, Any], int], "str | Fault"]
PASSAGE = re.compile(r"^\[(\d+)\] (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """What a server does instead of answering: a status, a pause, or a body of its own."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    pause: float = 0.0


@dataclass
class Server:
    """The server: `reply` answers a request's body, given how many came before; `requests` are those that came."""

    url: str
    reply: Reply
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    usage: bool = True

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
            time.sleep(reply.pause)
            content = reply.body or b'{"error": {"message": "as the test wants it"}}'
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

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
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def collection() -> Collection:
    """Two queries and 30 documents; a document's worth is the number at its end, in no order of its id."""
    worth = [(7 * number) % 30 for number in range(30)]
    return Collection(
        name="tiny",
        documents={f"d{number}": f"passage of worth {worth[number]}" for number in range(30)},
        queries={"q1": "which is worth most", "q2": "worth"},
        qrels={},
        query_ids=("q1", "q2"),
    )


@pytest.fixture
def run() -> Run:
    """Both queries with the first 12 documents, d0 first."""
    scores = {f"d{number}": 30.0 - number for number in range(12)}
    return Run.from_scores("first", {"q1": scores, "q2": scores})


@pytest.fixture
def make_job(
    endpoint: Callable[..., Endpoint], collection: Collection, run: Run, tmp_path: Path
) -> Iterator[Callable[..., Job]]:
    """A job on the server, its calls kept in `tmp_path/calls.jsonl`; one at a time is open."""
    stores: list[CallStore] = []

    def make(cap: Cap | None = None, concurrency: int = 1, **options: Any) -> Job:
        for store in stores:
            store.journal.close()
        stores[:] = [CallStore(tmp_path / "calls.jsonl")]
        stopping = threading.Event()
        engine = endpoint(stopping=stopping, **options)
        return Job(Asker(engine, stores[0], Budget(cap or Cap()), stopping), collection, run, concurrency, stopping)

    yield make
    for store in stores:
        store.journal.close()


@pytest.fixture
def endpoint(server: Server) -> Callable[..., Endpoint]:
    """The server as engine, quick to try again."""
    parameters = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 100, "seed": 1}

    def make(**options: Any) -> Endpoint:
        settings = {"key_variable": "LIMBECK_TEST_KEY", "back_off": 0.01, "timeout": 5.0, "retries": 2} | options
        return Endpoint(Address(server.url), "test-model", settings.pop("parameters", parameters), **settings)

    return make


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of two layers with random weights, a tokeniser of bytes and words, and ChatML's turns."""
    folder = tmp_path_factory.mktemp("chat")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["yes", "no", "true", "false"]
    vocabulary = {token: number for number, token in enumerate([*alphabet, *_pieces(words)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=_merges(words)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>"], model_max_length=2048,
    )  # fmt: skip
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=2048, initializer_range=0.5, eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def _merges(words: list[str]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((word[:end], word[end]) for word in words for end in range(1, len(word))))


def _pieces(words: list[str]) -> list[str]:
    return list(dict.fromkeys("".join(pair) for pair in _merges(words)))
