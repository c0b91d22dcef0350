"""Texts are tokenised once, found by id, and a store on disk is complete or not there."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

import limbeck.encoder.store as store_module
from limbeck.encoder import TokenStore, cache_folder, tokenizer_fingerprint
from limbeck.errors import MissingError

TEXTS = {"d10": "ether drips", "d9": "", "ä": "the alembic boils", "d1": "glass"}


class Letters:
    """A tokeniser in plain Python, so that a forked process may use it: a token is a letter's code."""

    def __init__(self, largest: int = 255, wait: Callable[[], object] = lambda: None) -> None:
        self.largest, self.wait = largest, wait
        self.backend_tokenizer = SimpleNamespace(to_str=lambda: json.dumps({"largest": largest}))

    def get_vocab(self) -> dict[str, int]:
        return {"a": 97, "last": self.largest}

    def __call__(self, texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        self.wait()
        return {"input_ids": [[min(ord(letter), self.largest) for letter in text] for text in texts]}


def cached(folder: Path, tokenizer: Any = None, fingerprint: str = "f") -> TokenStore:
    return TokenStore.cached(folder, fingerprint, TEXTS, tokenizer or Letters(), "Tokenise")


def in_processes(*targets: Callable[[], object]) -> list[int | None]:
    """Exit codes of processes that run `targets` at the same time."""
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=target) for target in targets]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    return [process.exitcode for process in processes]


def assert_complete(store: TokenStore) -> None:
    assert len(store) == len(TEXTS)
    for text_id, text in TEXTS.items():
        assert "".join(map(chr, store[int(store.rows([text_id])[0])])) == text


def test_tokens_of_every_id_are_those_of_its_text(tokenizer: Callable[[str], PreTrainedTokenizerBase]) -> None:
    tokens = tokenizer("roberta")
    store = TokenStore.of(TEXTS, tokens)
    rows = store.rows(list(TEXTS))
    for row, text in zip(rows, TEXTS.values(), strict=True):
        assert store[row].tolist() == tokens(text, add_special_tokens=False)["input_ids"]
    assert store.lengths(rows).tolist() == [len(store[row]) for row in rows]
    assert store.lengths(rows)[1] == 0


def test_rows_follow_the_ids_asked_for_and_may_repeat() -> None:
    store = TokenStore.of(TEXTS, Letters())
    assert store.rows(["d9", "d10", "d9"]).tolist() == [2, 1, 2]
    assert store.rows([]).tolist() == []


@pytest.mark.parametrize("absent", ["d", "d100", "zz", "", "a longer id than any that is stored"])
def test_an_id_without_text_is_named(absent: str) -> None:
    with pytest.raises(MissingError, match=rf'no text for "{absent}" \(2 such ids\)'):
        TokenStore.of(TEXTS, Letters()).rows(["d1", absent, "d9", absent])


def test_an_empty_store_names_the_id_too() -> None:
    with pytest.raises(MissingError, match='no text for "d1"'):
        TokenStore.of({}, Letters()).rows(["d1"])


def test_texts_are_handed_over_in_chunks_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHUNK", 3)
    assert_complete(TokenStore.of(TEXTS, Letters(), "Tokenise"))


@pytest.mark.parametrize(("largest", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_tokens_take_two_bytes_where_the_largest_id_fits(largest: int, dtype: type) -> None:
    # Two tokens only: it is the largest id that counts, not their number.
    store = TokenStore.of({"d": "\U0001f702a"}, Letters(largest))
    assert store.tokens.dtype == dtype
    assert store[0].tolist() == [largest, 97]


def test_a_cached_store_is_made_once_and_then_mapped(tmp_path: Path) -> None:
    calls: list[int] = []
    tokens = Letters(wait=lambda: calls.append(1))
    assert_complete(cached(tmp_path / "new" / "folder", tokens))
    again = cached(tmp_path / "new" / "folder", tokens)
    assert_complete(again)
    assert calls == [1]
    assert isinstance(again.tokens, np.memmap)


def test_other_texts_or_another_tokeniser_get_their_own_store(tmp_path: Path) -> None:
    cached(tmp_path)
    cached(tmp_path, fingerprint="g")
    cached(tmp_path, Letters(70_000))
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("texts", [{}, {"d": ""}], ids=["no texts", "no tokens"])
def test_stores_without_tokens_can_be_cached(texts: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        store = TokenStore.cached(tmp_path, "f", texts, Letters(), "Tokenise")
        assert len(store) == len(texts)
        assert len(store.tokens) == 0


@pytest.mark.parametrize("saved", [0, 1, 2, 3])
def test_a_store_whose_writing_was_killed_is_never_used(
    saved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        steps, save, replace = [0], np.save, os.replace

        def count() -> None:
            if steps[0] == saved:
                os.kill(os.getpid(), signal.SIGKILL)
            steps[0] += 1

        monkeypatch.setattr(np, "save", lambda *args: (count(), save(*args)))
        monkeypatch.setattr(os, "replace", lambda *args: (count(), replace(*args)))
        cached(tmp_path)

    assert in_processes(killed) == [-signal.SIGKILL]
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]
    assert_complete(cached(tmp_path))


def test_a_store_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        cached(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_processes_that_build_one_store_at_the_same_time_all_get_it(tmp_path: Path) -> None:
    barrier = multiprocessing.get_context("fork").Barrier(3)
    # All three have found no store before any of them writes one.
    tokens = Letters(wait=lambda: barrier.wait(20))

    def build() -> None:
        assert_complete(cached(tmp_path, tokens))

    assert in_processes(build, build, build) == [0, 0, 0]
    assert len(list(tmp_path.iterdir())) == 1
    assert_complete(cached(tmp_path))


def test_a_store_can_be_read_by_whom_the_user_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        cached(tmp_path)
    finally:
        os.umask(before)
    (place,) = tmp_path.iterdir()
    assert place.stat().st_mode & 0o777 == 0o755


def test_fingerprint_ignores_what_the_last_call_left_behind(
    tokenizer: Callable[[str], PreTrainedTokenizerBase],
) -> None:
    tokens = tokenizer("bert")
    before = tokenizer_fingerprint(tokens)
    tokens("the alembic boils", truncation=True, max_length=4, padding="max_length")
    assert json.loads(tokens.backend_tokenizer.to_str())["truncation"]
    assert tokenizer_fingerprint(tokens) == before == tokenizer_fingerprint(tokenizer("bert"))
    assert TokenStore.of({"d": "the alembic boils"}, tokens).lengths(np.array([0])).tolist() == [3]


def test_fingerprint_tells_apart_what_tokenises_otherwise(
    tokenizer: Callable[[str], PreTrainedTokenizerBase],
) -> None:
    one, other = tokenizer("bert"), tokenizer("bert")
    other.add_tokens(["athanor"])
    assert len({tokenizer_fingerprint(t) for t in (one, other, tokenizer("mpnet"), tokenizer("roberta"))}) == 4


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/paracelsus")
    monkeypatch.delenv("LIMBECK_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path("/home/paracelsus/.cache/limbeck")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/limbeck")
    monkeypatch.setenv("LIMBECK_CACHE", "/own")
    assert cache_folder() == Path("/own")
