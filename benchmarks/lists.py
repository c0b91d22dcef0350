"""Converting a file as large as the published ones: speed, peak memory, and going on after an interruption.

    python benchmarks/lists.py --lines 40000000

Writes a file in the shape of Hofstätter et al.'s scores, with ids as MS MARCO has them; converts it in a process that
is interrupted a third of the way; goes on with the same command; and reads the lists as training does.
Peak memory is the largest resident set of each process, from getrusage.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

CONVERT = "from limbeck.cli import main; main()"
READ = "import sys; from limbeck.lists import read_lists; lists = read_lists(sys.argv[1]); print(lists[len(lists) - 1])"


def main() -> None:
    """Generate, convert, interrupt, go on, read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=40_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the files go; default a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
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
