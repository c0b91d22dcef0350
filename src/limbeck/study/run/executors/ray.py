"""Ray: its core tasks alone. They return a number; results are files, so nothing goes through Ray's object store."""

import logging
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from rich.console import Console

from limbeck.core.errors import MissingError, UsageError, plural
from limbeck.core.progress import say
from limbeck.study.run.executors.local import gpus_of, variables_of
from limbeck.study.run.graph import Graph, Node
from limbeck.study.run.store import Store

RETRIES = 3  # of a task whose process or node died


class Ray:
    """Tasks on a Ray cluster that sees the study's folder under the same path.

    Several processes of one cell are a task that takes the resources of all of them, on one node, and starts torchrun.
    """

    orders_needs = False
    is_here = False
    patience = 2.0

    def __init__(self, graph: Graph, store: Store, console: Console, address: str | None) -> None:
        try:
            ray: Any = import_module("ray")  # an extra, which type checkers may lack
        except ModuleNotFoundError:
            raise MissingError('ray: no such package; install it with `pip install "limbeck[ray]"`') from None
        self.graph, self.store, self.console = graph, store, console
        self.ray = ray
        try:
            ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise UsageError(f"--on ray:{address}: no such cluster: {error}") from None
        resources = ray.cluster_resources()
        self.has_gpus = resources.get("GPU", 0) > 0
        console.print(
            f"ray: {plural(len(ray.nodes()), 'node')}, {resources.get('CPU', 0):g} CPUs, "
            f"{resources.get('GPU', 0):g} GPUs",
            highlight=False,
        )
        # Called as many as there are free resources for: what comes first on the longest way is to be begun first.
        self.room = max(1, int(resources.get("CPU", 1)))
        self.work = ray.remote(max_retries=RETRIES, retry_exceptions=False)(work_in_ray)
        self.running: dict[Any, str] = {}

    def start(self, nodes: Sequence[Node], begin: Callable[[Node], None]) -> bool:
        """Submit those that come first on the longest way to the end, as many as there may be room for."""
        started = False
        for node in sorted(nodes, key=lambda node: -self.graph.rank[node.name]):
            if len(self.running) >= self.room:
                break
            begin(node)
            processes = node.resources.processes
            task = self.work.options(
                name=node.name, num_cpus=(node.resources.cpus or 1) * processes, num_gpus=gpus_of(node, self.has_gpus),
                memory=_bytes(node.resources.memory),
                runtime_env={"env_vars": variables} if (variables := variables_of(node.resources)) else None,
            )  # fmt: skip
            self.running[task.remote(str(self.store.folder.resolve()), node.name)] = node.name
            started = True
        return started

    def at_work(self) -> set[str]:
        """The nodes whose tasks have not ended."""
        if self.running:
            ended, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=0)
            for task in ended:
                name = self.running.pop(task)
                try:
                    self.ray.get(task)
                except self.ray.exceptions.RayError as error:
                    # What the files tell of it decides; this says where to look.
                    reason = str(error).strip().splitlines()
                    say(self.console, f"ray: {name}: {reason[0] if reason else type(error).__name__}")
        return set(self.running.values())

    def close(self) -> None:
        """Cancel what is left, which saves and stops, and leave the cluster."""
        for task in self.running:
            self.ray.cancel(task, force=False)
        if self.running:
            self.ray.wait(list(self.running), num_returns=len(self.running), timeout=60)
        self.ray.shutdown()


def work_in_ray(output: str, name: str) -> int:
    """A node's work as a task; its exit code."""
    from limbeck.study.run.work import Workshop

    workshop = Workshop.open(output)
    return int(workshop.work(workshop.graph.find(name), Console(quiet=True)))


def _bytes(memory: str | None) -> int | None:
    return None if memory is None else int(memory[:-1]) * 1024 ** ("MGT".index(memory[-1]) + 2)
