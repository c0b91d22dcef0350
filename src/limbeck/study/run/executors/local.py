"""Several processes on this machine, among which its GPUs are shared out."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from rich.console import Console

from limbeck.core.devices import GPU_SHARE
from limbeck.core.errors import LimbeckError, MissingError, UsageError, plural
from limbeck.core.progress import say
from limbeck.study.config.schema import Resources
from limbeck.study.run.graph import GPU_KINDS, Graph, Node
from limbeck.study.run.store import Store

PRELOADED = [
    "limbeck.study.run.work", "transformers.modeling_utils", "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto", "transformers.models.bert.modeling_bert", "pyarrow.parquet",
    "datasketch",
]  # fmt: skip
"""What most nodes import, some of it late: each process would spend seconds on it."""
STOP_SECONDS = 60.0  # for a checkpoint, once asked to stop
NEARLY = 1e-6  # three thirds are a whole
END_SECONDS = 1.0  # for processes whose nodes are done, to end by themselves


class Local:
    """N processes at a time, each forked from one that has imported all there is to import."""

    orders_needs = False
    is_here = False
    patience = 2.0

    def __init__(self, graph: Graph, store: Store, console: Console, count: int | None) -> None:
        self.graph, self.store, self.console = graph, store, console
        self.free = dict.fromkeys(visible_gpus(), 1.0)
        self.has_gpus = bool(self.free)
        shares = [gpus_of(node, self.has_gpus) for node in graph.nodes]
        on_one = max([1, *(int(1 / share + NEARLY) for share in shares if 0 < share < 1)])
        cpus = graph_cpus(graph)
        self.count = count or len(self.free) * on_one or max(1, (os.cpu_count() or 1) // cpus if cpus else 1)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)
        self.running: dict[str, tuple[BaseProcess, dict[str, float]]] = {}
        gpus = f"; GPUs {', '.join(self.free)}" if self.free else ""
        console.print(f"local: {plural(self.count, 'process')} at a time{gpus}", highlight=False)

    def start(self, nodes: Sequence[Node], begin: Callable[[Node], None]) -> bool:
        """Start those that come first on the longest way to the end, as far as processes and GPUs reach."""
        started = False
        for node in sorted(nodes, key=lambda node: -self.graph.rank[node.name]):
            if len(self.running) >= self.count:
                break
            wanted = gpus_of(node, self.has_gpus)
            mine = allotted(self.free, wanted)
            if mine is None:
                self._require(node, wanted)
                continue
            self.free = {gpu: free - mine.get(gpu, 0.0) for gpu, free in self.free.items()}
            begin(node)
            variables = variables_of(node.resources)
            if self.has_gpus:
                variables["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
            process = self.context.Process(target=run, args=(str(self.store.folder), node.name, variables))
            process.start()
            self.running[node.name] = (process, mine)
            started = True
        return started

    def at_work(self) -> set[str]:
        """The nodes whose processes live."""
        self._reap()
        return set(self.running)

    def close(self) -> None:
        """Ask the processes that are left to stop, which they do behind a checkpoint."""
        until = time.monotonic() + END_SECONDS
        for process, _ in self.running.values():
            process.join(max(0.0, until - time.monotonic()))
        for process, _ in self.running.values():
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        for process, _ in self.running.values():
            process.join(max(0.1, until - time.monotonic()))
            if process.is_alive():
                process.kill()

    def _reap(self) -> None:
        for name, (process, mine) in list(self.running.items()):
            if not process.is_alive():
                process.join()
                self.free = {gpu: free + mine.get(gpu, 0.0) for gpu, free in self.free.items()}
                del self.running[name]

    def _require(self, node: Node, wanted: float) -> None:
        if wanted > len(self.free):
            raise UsageError(
                f"{node.label}: takes {wanted:g} GPUs by the study's `compute:`, but this machine shows "
                f"{len(self.free)}; ask for fewer, or run it on another machine"
            )


def run(output: str, name: str, variables: Mapping[str, str]) -> None:
    """The work of one node in a process made for it, which ends with its exit code."""
    os.environ.update(variables)
    if threads := variables.get("OMP_NUM_THREADS"):
        import torch

        torch.set_num_threads(int(threads))
    from limbeck.study.run.work import work

    # Of Ctrl-C the driver tells; it reaches all processes of a terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = int(work(Path(output), name, Console(quiet=True)))
    except KeyboardInterrupt:
        code = 130  # asked to stop before its node was begun, or behind its end
    except (LimbeckError, OSError) as error:
        # Such as a disk that is full: nothing can be written down, so it is said here.
        say(Console(stderr=True), f"{name}: {error}")
        code = MissingError.exit_code
    sys.exit(code)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    stated = os.environ.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        return [name.strip() for name in stated.split(",") if name.strip() and name.strip() != "-1"]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def gpus_of(node: Node, has_gpus: bool) -> float:
    """GPUs that a node takes, all its processes together: a whole number, or a share of one.

    Raises:
        UsageError: several processes that share one: each must have its own.
    """
    each, processes = node.resources.gpus, node.resources.processes
    if each is None:
        each = int(has_gpus and node.kind in GPU_KINDS)
    if 0 < each < 1 < processes:
        raise UsageError(
            f"{node.label}: {processes} processes that train together take a GPU each, but the study's `compute:` "
            f"gives each {each:g} of one; expected a whole number of gpus, or one process"
        )
    return each * processes


def allotted(free: Mapping[str, float], wanted: float) -> dict[str, float] | None:
    """What a node that wants so many GPUs gets of each, given what is free of each; None where there is too little.

    A share comes from the GPU that has least left beside it, so that others stay whole.
    """
    if 0 < wanted < 1:
        enough = [gpu for gpu, left in free.items() if left >= wanted - NEARLY]
        return {min(enough, key=lambda gpu: free[gpu]): wanted} if enough else None
    whole = [gpu for gpu, left in free.items() if left >= 1 - NEARLY][: int(wanted)]
    return dict.fromkeys(whole, 1.0) if len(whole) == wanted else None


def variables_of(resources: Resources) -> dict[str, str]:
    """The environment that gives a node its threads (equal ones give equal bytes), and its share of a GPU's memory."""
    threads = {"OMP_NUM_THREADS": str(resources.cpus)} if resources.cpus else {}
    return threads | ({GPU_SHARE: f"{resources.gpus:g}"} if 0 < (resources.gpus or 0) < 1 else {})


def graph_cpus(graph: Graph) -> int | None:
    """CPUs that a process takes at most, if the study says so."""
    return max((node.resources.cpus or 0 for node in graph.nodes), default=0) or None
