"""Where nodes are worked on: one protocol, and one file for each engine that limbeck borrows.

An executor starts `limbeck.study.run.work` on nodes; what became of them it need not know, because the driver reads it
from the files. Another engine is another file with a class of these five members, and a line in `executor_of`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from rich.console import Console

from limbeck.core.errors import UsageError
from limbeck.study.run.graph import Graph, Node
from limbeck.study.run.store import Store
from limbeck.study.run.work import Outcome, Workshop


class Executor(Protocol):
    """Has nodes worked on.

    Attributes:
        orders_needs: whether nodes may be handed over before what they need is done, because it starts them behind it.
        is_here: whether a node is over when `start` returns.
        patience: most seconds between two looks at the files.
    """

    orders_needs: bool
    is_here: bool
    patience: float

    def start(self, nodes: Sequence[Node], begin: Callable[[Node], None]) -> bool:
        """Take as many of these nodes as there is room for, `begin` being told of each; whether it took any.

        None of them was among those that `at_work` has just named.
        """

    def at_work(self) -> set[str]:
        """The names of the nodes that it was given and has not ended yet, as far as it knows."""

    def close(self) -> None:
        """The driver leaves, because all is done or because it was asked to."""


MakeExecutor = Callable[[Graph, Store, Console], Executor]


class Here:
    """One node after another in this process."""

    orders_needs = False
    is_here = True
    patience = 2.0

    def __init__(self, workshop: Workshop, console: Console) -> None:
        self.workshop, self.console = workshop, console

    def start(self, nodes: Sequence[Node], begin: Callable[[Node], None]) -> bool:
        """Do the work of the first node; if it is a cell's, also of those of this cell behind it.

        A look at all files between the evaluations of a cell would decide nothing, and be quadratic in the nodes.
        """
        for node in nodes:
            if node is not nodes[0] and (node.cell is None or node.cell != nodes[0].cell):
                break
            begin(node)
            if self.workshop.work(node, self.console) is Outcome.STOPPED:
                raise KeyboardInterrupt
        return bool(nodes)

    def at_work(self) -> set[str]:
        """Nothing: what was begun is over."""
        return set()

    def close(self) -> None:
        """Nothing is left."""


def executor_of(on: str) -> MakeExecutor:
    """The executor of a `--on`: `local`, `local:N`, `slurm`, `ray` or `ray:ADDRESS`. UsageError for anything else."""
    kind, _, rest = on.partition(":")
    if kind == "local" and (not rest or (rest.isdecimal() and int(rest) > 0)):
        from limbeck.study.run.executors.local import Local

        return lambda graph, store, console: Local(graph, store, console, int(rest) if rest else None)
    if on == "slurm":
        from limbeck.study.run.executors.slurm import Slurm

        return Slurm
    if kind == "ray":
        from limbeck.study.run.executors.ray import Ray

        return lambda graph, store, console: Ray(graph, store, console, rest or None)
    raise UsageError(f'--on "{on}": expected local, local:N (processes), slurm, ray or ray:ADDRESS')
