"""Texts are tokenised once, found by id, and a store on disk is complete or not there."""

import json
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, ItemsView, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

import limbeck.tokens.store as store_module
from limbeck.core.errors import MissingError
from limbeck.tokens.store import TokenStore, cache_folder, tokenizer_fingerprint

URL = "https://example.org/" + "alembic/" * 250
TEXTS = {"d10": "ether drips", "d9": "", "ä": "the alembic boils", "d1": "glass", URL: "a still", URL + "#": "worm"}


def letters(largest: int = 255) -> PreTrainedTokenizerFast:
    """A tokeniser whose tokens are the letters' codes, at most `largest`."""
    vocabulary = {chr(code): code for code in range(256) if code != largest} | {"last": largest}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="last"))
    backend.pre_tokenizer = Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="last")


class Streamed(dict[str, str]):
    """Texts that are read one by one: `wait` is called with the number of those already read."""

    def __init__(self, texts: dict[str, str], wait: Callable[[int], object]) -> None:
        super().__init__(texts)
        self.wait = wait

    def items(self) -> Any:
        streamed = self

        class Items(ItemsView[str, str]):
            def __iter__(self) -> Iterator[tuple[str, str]]:
                for number, text_id in enumerate(streamed):
                    streamed.wait(number)
                    yield text_id, streamed[text_id]

        return Items(self)


def cached(
    folder: Path, tokenizer: Any = None, fingerprint: str = "f", wait: Callable[[int], object] = lambda _: None
) -> TokenStore:
    return TokenStore.cached(folder, fingerprint, Streamed(TEXTS, wait), tokenizer or letters(), "Tokenise")


def kept(folder: Path) -> list[Path]:
    """What is in a folder beside lock files."""
    return [path for path in folder.iterdir() if path.suffix != ".lock"]


def in_processes(*targets: Callable[[], object]) -> list[int | None]:
    """Exit codes of processes that run `targets` at the same time."""
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=target) for target in targets]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    return [process.exitcode for process in processes]


def assert_complete(store: TokenStore) -> None:
    assert len(store) == len(TEXTS)
    for text_id, text in TEXTS.items():
        assert "".join(map(chr, store[int(store.rows([text_id])[0])])) == text


@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "deberta-v3", "modernbert"])
def test_tokens_of_every_id_are_those_of_its_text(
    family: str, tokenizer: Callable[[str], PreTrainedTokenizerBase]
) -> None:
    tokens = tokenizer(family)
    tokens("the alembic boils", truncation=True, max_length=4, padding="max_length")  # leaves its settings behind
    store = TokenStore.of(TEXTS, tokens)
    rows = store.rows(list(TEXTS))
    for row, text in zip(rows, TEXTS.values(), strict=True):
        assert store[row].tolist() == tokens(text, add_special_tokens=False)["input_ids"]
    assert store.lengths(rows).tolist() == [len(store[row]) for row in rows]
    assert store.lengths(rows)[1] == 0


def test_rows_are_in_the_order_of_the_texts_whatever_order_they_are_asked_for() -> None:
    store = TokenStore.of(TEXTS, letters())
    assert store.rows(list(TEXTS)).tolist() == list(range(len(TEXTS)))
    assert store.rows(["d9", "d10", "d9"]).tolist() == [1, 0, 1]
    assert store.rows([]).tolist() == []


@pytest.mark.parametrize("absent", ["d", "d100", "zz", "", "a longer id than any that is stored", URL[:-1]])
def test_an_id_without_text_is_named(absent: str) -> None:
    with pytest.raises(MissingError, match=rf'no text for "{absent}" \(2 such ids\)'):
        TokenStore.of(TEXTS, letters()).rows(["d1", absent, "d9", absent])


def test_an_empty_store_names_the_id_too() -> None:
    with pytest.raises(MissingError, match='no text for "d1"'):
        TokenStore.of({}, letters()).rows(["d1"])


def test_one_long_id_does_not_widen_all() -> None:
    assert TokenStore.of(TEXTS, letters()).ids.itemsize == 32
    assert TokenStore.of({"d1": "", "d100": ""}, letters()).ids.itemsize == 4


def test_texts_are_handed_over_in_chunks_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CHUNK", 4)
    assert_complete(TokenStore.of(TEXTS, letters()))
    assert_complete(cached(tmp_path))


@pytest.mark.parametrize(("largest", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_kept_tokens_take_two_bytes_where_the_largest_id_fits(largest: int, dtype: type, tmp_path: Path) -> None:
    # Few tokens only: it is the largest id that counts, not their number.
    texts, tokens = {"d": "\U0001f702a"}, letters(largest)
    kept = TokenStore.cached(tmp_path, "f", texts, tokens, "Tokenise")
    assert kept.tokens.dtype == dtype
    assert kept[0].tolist() == TokenStore.of(texts, tokens)[0].tolist() == [largest, 97]


def test_a_cached_store_is_made_once_and_then_mapped(tmp_path: Path) -> None:
    calls: list[int] = []
    for _ in range(2):
        store = cached(tmp_path / "new" / "folder", wait=calls.append)
        assert_complete(store)
        assert isinstance(store.tokens, np.memmap)
    assert calls == list(range(len(TEXTS)))


def test_other_texts_or_another_tokeniser_get_their_own_store(tmp_path: Path) -> None:
    cached(tmp_path)
    cached(tmp_path, fingerprint="g")
    cached(tmp_path, letters(70_000))
    assert len(kept(tmp_path)) == 3


@pytest.mark.parametrize("texts", [{}, {"d": ""}], ids=["no texts", "no tokens"])
def test_stores_without_tokens_can_be_cached(texts: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        store = TokenStore.cached(tmp_path, "f", texts, letters(), "Tokenise")
        assert len(store) == len(texts)
        assert len(store.tokens) == 0


@pytest.mark.parametrize("moment", [0, 3, "places.npy", "rename", "renamed"])
def test_a_store_whose_making_was_killed_is_never_used_and_leaves_nothing(
    moment: int | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def killed() -> None:
        save, replace = np.save, os.replace
        monkeypatch.setattr(np, "save", lambda path, array: die() if path.name == moment else save(path, array))
        monkeypatch.setattr(os, "replace", lambda *a: (moment == "rename" and die(), replace(*a), die()))
        monkeypatch.setattr(store_module, "CHUNK", 1)
        cached(tmp_path, wait=lambda number: die() if number == moment else None)

    assert in_processes(killed) == [-signal.SIGKILL]
    assert bool(list(tmp_path.glob("[!.]*"))) == (moment == "renamed")
    assert_complete(cached(tmp_path))
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("name", ["ids", "places", "offsets", "tokens"])
@pytest.mark.parametrize("size", [None, 0, 130])
def test_a_store_that_is_not_as_it_was_written_is_said_and_made_anew(
    name: str, size: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cached(tmp_path)
    (place,) = tmp_path.glob("[!.]*")
    if size is None:
        (place / f"{name}.npy").unlink()
    else:
        os.truncate(place / f"{name}.npy", size)
    assert_complete(cached(tmp_path))
    assert f"{place}: not as it was written; made anew" in capsys.readouterr().err
    assert len(kept(tmp_path)) == 1


def test_a_store_that_cannot_be_written_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))  # bytes of a file: the header fits, the tokens do not
        with pytest.raises(MissingError, match=r"f-\w+: cannot be written: File too large.* LIMBECK_CACHE"):
            cached(tmp_path)

    assert in_processes(limited) == [0]
    assert kept(tmp_path) == []


def test_processes_that_ask_for_one_store_at_the_same_time_make_it_once(tmp_path: Path) -> None:
    barrier = multiprocessing.get_context("fork").Barrier(3)
    made = tmp_path / "made"

    def slowly(number: int) -> None:
        if number == 0:
            with made.open("a") as file:
                file.write(f"{os.getpid()}\n")
            time.sleep(0.3)  # the others ask meanwhile

    def build() -> None:
        barrier.wait(300)
        assert_complete(cached(tmp_path / "tokens", wait=slowly))

    assert in_processes(build, build, build) == [0, 0, 0]
    assert len(made.read_text().splitlines()) == 1
    assert len(kept(tmp_path / "tokens")) == 1
    assert_complete(cached(tmp_path / "tokens"))


def test_a_process_that_waited_takes_a_store_without_texts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    TokenStore.cached(tmp_path, "f", {}, letters(), "Tokenise")
    real, looks = np.load, []

    def load(*arguments: Any, **options: Any) -> Any:
        looks.append(arguments)
        if len(looks) == 1:  # as when another process makes it between the first look and the second
            raise FileNotFoundError
        return real(*arguments, **options)

    monkeypatch.setattr(np, "load", load)
    TokenStore.cached(tmp_path, "f", {}, letters(), "Tokenise")
    assert capsys.readouterr().err == ""
    assert len(looks) > 1


def test_a_process_that_waited_for_one_that_was_killed_makes_the_store(tmp_path: Path) -> None:
    begun = multiprocessing.get_context("fork").Event()

    def die(number: int) -> None:
        begun.set()
        time.sleep(0.3)  # the other asks meanwhile
        os.kill(os.getpid(), signal.SIGKILL)

    def build() -> None:
        begun.wait(300)
        assert_complete(cached(tmp_path))

    assert in_processes(lambda: cached(tmp_path, wait=die), build) == [-signal.SIGKILL, 0]
    assert len(kept(tmp_path)) == 1


def test_a_store_can_be_read_by_whom_the_user_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        cached(tmp_path)
    finally:
        os.umask(before)
    (place,) = tmp_path.glob("[!.]*")
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
