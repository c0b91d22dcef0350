"""Jobs on the endpoint of `tests/conftest.py`, and a tiny chat model."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from limbeck.collections import Collection
from limbeck.runs import Run
from limbeck.teachers.llm import Address, Budget, CallStore, Cap, Endpoint, LLMClient, LLMSession, Reranker


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
) -> Iterator[Callable[..., Reranker]]:
    """A job on the server, its calls kept in `tmp_path/calls.jsonl`; one at a time is open."""
    stores: list[CallStore] = []

    def make(cap: Cap | None = None, concurrency: int = 1, **options: Any) -> Reranker:
        for store in stores:
            store.journal.close()
        stores.clear()
        stores[:] = [CallStore(tmp_path / "calls.jsonl")]
        stopping = threading.Event()
        engine = endpoint(stopping=stopping, **options)
        work = LLMSession(LLMClient(engine, stores[0], Budget(cap or Cap()), stopping), concurrency, stopping)
        return Reranker(work, collection, run)

    yield make
    for store in stores:
        store.journal.close()


@pytest.fixture
def endpoint(server: Any) -> Callable[..., Endpoint]:
    """The server as engine, quick to try again."""
    parameters = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 100, "seed": 1}

    def make(**options: Any) -> Endpoint:
        settings = {"key_variable": "LIMBECK_TEST_KEY", "back_off": 0.01, "timeout": 300.0, "retries": 2} | options
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
