"""Two commits of limbeck in alternation: pairs a second in training and re-ranking, by the wall's clock and the CPU's.

    OMP_NUM_THREADS=1 python benchmarks/commits.py 1c838b3 HEAD --turns 3

Each measurement is a process of its own, `contestants/limbeck_job.py` of that commit, on the same saved models and the
same lists; every other turn begins with the second commit. Seconds of the CPU are what a busy machine disturbs least;
they are taken in turns of their own, in which the clocks that the job reads are the process's. Both commits run in the
environment of this Python.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from run import MODEL, Job, rows
from transformers import ModernBertConfig, ModernBertForSequenceClassification

from limbeck.models.cross_encoder import CrossEncoder

ROOT = Path(__file__).parent.parent
CLOCKS = {
    "wall": "",
    "CPU": "import time; time.perf_counter = time.monotonic = time.process_time; ",
}
RUN = "import runpy, sys; script = sys.argv.pop(1); runpy.run_path(script, run_name='__main__')"


def main() -> None:
    """Measure both commits and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--turns", type=int, default=3, help="processes of each commit, clock and row")
    parser.add_argument("--rounds", type=int, default=3, help="steps, or times to re-rank, counted in each process")
    parser.add_argument("--clocks", nargs="*", choices=CLOCKS, default=list(CLOCKS))
    parser.add_argument("--only", nargs="*", default=[], help="rows whose names begin so")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tree(options.before) as before, tree(options.after) as after:
        print(
            "| work | clock | pairs/s before | after | after / before (range of turns) |\n|---|---|---|---|---|",
            flush=True,
        )
        for name, job in jobs(Path(folder)):
            if options.only and not any(name.startswith(word) for word in options.only):
                continue
            file = Path(folder) / "job.json"
            file.write_text(json.dumps(asdict(job) | {"rounds": options.rounds}))
            for clock in options.clocks:
                turns = []
                for turn in range(options.turns):
                    order = (before, after) if turn % 2 == 0 else (after, before)
                    found = {place: rate(place, file, clock) for place in order}
                    turns.append((found[before], found[after]))
                ratios = [now / then for then, now in turns]
                then, now = (statistics.median(column) for column in zip(*turns, strict=True))
                print(
                    f"| {name} | {clock} | {then:.1f} | {now:.1f} "
                    f"| {statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f}) |",
                    flush=True,
                )


def jobs(folder: Path) -> Iterator[tuple[str, Job]]:
    """MiniLM-L6, a student of two of its layers and a random ModernBERT of its size, fp32, trained and re-ranking."""
    for name, layers in (("MiniLM-L6", None), ("2 layers", 2), ("ModernBERT of 6 layers", None)):
        model = folder / name.replace(" ", "-")
        encoder = CrossEncoder.load(MODEL, layers=layers, new_head=True)
        encoder.save(model)
        if name.startswith("ModernBERT"):
            random_modernbert(encoder.tokenizer).save_pretrained(model)
        equal: dict[str, Any] = {"model": str(model), "precision": "fp32", "max_length": 256}
        yield f"{name}, training, 2 × 8", Job(work="training", rows=rows(8, 16), lists_per_step=2, **equal)
        yield f"{name}, re-ranking, 2 × 50", Job(work="rerank", rows=rows(50, 2), **equal)


def random_modernbert(tokenizer: Any) -> Any:
    """Random weights: of this family no package has real ones. Every third layer sees the whole pair, as published."""
    config = ModernBertConfig(
        vocab_size=len(tokenizer), hidden_size=384, intermediate_size=576, num_hidden_layers=6, num_attention_heads=12,
        pad_token_id=tokenizer.pad_token_id, cls_token_id=tokenizer.cls_token_id, bos_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id, eos_token_id=tokenizer.sep_token_id, num_labels=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return ModernBertForSequenceClassification(config)


@contextmanager
def tree(commit: str) -> Iterator[Path]:
    """A worktree of a commit, while it is needed."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def rate(place: Path, job: Path, clock: str) -> float:
    """Pairs a second of the fastest round: what disturbs a busy machine only ever takes time."""
    script = place / "benchmarks" / "contestants" / "limbeck_job.py"
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(place / "src"), str(script.parent)]), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CLOCKS[clock] + RUN, str(script), str(job)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{script}: exit {done.returncode}\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return float(found["pairs"] / min(found["seconds"]))


if __name__ == "__main__":
    main()
