"""Slurm: arrays of tasks that wait for one another. Its commands are all that is needed, no library and no database."""

import getpass
import math
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console

from limbeck.core.errors import MissingError, UsageError, plural
from limbeck.core.files import write_text
from limbeck.core.progress import say
from limbeck.study.run.graph import Graph, Node
from limbeck.study.run.status import NodeStates, State
from limbeck.study.run.store import Store

ARRAY = 1000
"""Tasks of one array at most; Slurm's own limit is 1,001 unless its administrators have raised it."""
SPARE = 1.5
"""Times the planned hours that a task asks for; one that needs more is stopped, saves, and is queued again."""
LAST_SECONDS = 180
"""Before its time is up, or half of a short time, a task is told: to save and be queued again."""
TOLD_SECONDS = 60.0
"""How often it is said that Slurm does not answer."""
ARGUMENTS = 60_000
"""Characters of a dependency at most: an argument of 128 kB is the most that Linux takes."""


class Slurm:
    """Submits all that is left as arrays: one for all nodes of a kind that need the same, or that need one each.

    Tasks read their node from a file by their number. A task whose node died is queued again, three times. What is
    queued is told by the names of jobs, so that a driver that is started again submits nothing twice.
    """

    orders_needs = True
    is_here = False
    patience = 10.0

    def __init__(self, graph: Graph, store: Store, console: Console, dry: bool = False) -> None:
        self.graph, self.store, self.console, self.dry = graph, store, console, dry
        if not dry and shutil.which("sbatch") is None:
            raise MissingError("sbatch: no such command; run this on a machine that submits to Slurm (a login node)")
        self.folder = store.folder.resolve() / "slurm"
        self.jobs: dict[str, str] = {}  # name of a node → its task, JOB_NUMBER
        self.told = -math.inf
        self.scripts: list[str] = []
        shared = next((node for node in graph.nodes if 0 < (node.resources.gpus or 0) < 1), None)
        if shared is not None:
            raise UsageError(
                f"{shared.label}: takes {shared.resources.gpus} of a GPU by the study's `compute:`, but Slurm gives "
                "whole ones; expected a whole number of gpus. Several nodes share one in a job that runs "
                "`limbeck study run … --on local` itself"
            )
        if not any(node.resources.gpus for node in graph.nodes):
            say(console, "slurm: the study asks for no GPU; if it is to have one, say `compute: {default: {gpus: 1}}`")

    def start(self, nodes: Sequence[Node], begin: Callable[[Node], None]) -> bool:
        """Submit the nodes, those that are needed first."""
        left = {node.name: node for node in nodes}
        while left:
            layer = [node for node in left.values() if not any(need in left for need in node.needs)]
            for group in self._groups(layer):
                for node in group:
                    begin(node)
                    del left[node.name]
                self._submit(group)
        return bool(nodes)

    def at_work(self) -> set[str]:
        """The nodes whose tasks Slurm still has."""
        if self.dry:
            return set(self.jobs)
        command = ["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--format", "%i %j %T"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            # The scheduler is busy or away: nothing new is submitted until it tells again.
            if time.monotonic() >= self.told + TOLD_SECONDS:
                self.told = time.monotonic()
                reason = (done.stderr.strip() or f"exit {done.returncode}").splitlines()[0]
                say(
                    self.console,
                    f"slurm: squeue does not answer ({reason}); nothing is submitted until it does",
                    "yellow",
                )
            return set(self.graph.by_name)
        found: dict[str, str] = {}
        for line in done.stdout.splitlines():
            task, name, state = line.split(maxsplit=2)
            job, _, number = task.partition("_")
            file = self.folder / f"{name.removeprefix('limbeck-')}.txt"
            if name.startswith("limbeck-") and state not in ENDED and file.exists() and number.isdecimal():
                found[file.read_text(encoding="utf-8").splitlines()[int(number)]] = f"{job}_{number}"
        self.jobs = found
        return set(found)

    def close(self) -> None:
        """Leave the jobs to Slurm; how they are cancelled is said."""
        if self.jobs and not self.dry:
            jobs = " ".join(sorted({task.partition("_")[0] for task in self.jobs.values()}))
            say(
                self.console,
                f"slurm: left running without this process: {plural(len(self.jobs), 'task')}; the same command comes "
                f"back to them, and `scancel {jobs}` cancels them",
            )

    def _groups(self, nodes: Iterable[Node]) -> list[list[Node]]:
        """Nodes that one array can hold: of a kind, with the same resources, behind the same nodes.

        Of nodes that need a cell each, those of one collection are an array, whose tasks wait for the cells' one by
        one; cells behind the same nodes are one.
        """
        groups: dict[tuple[object, ...], list[Node]] = {}
        for node in nodes:
            own = [need for need in node.needs if need.startswith("cell/")]
            others = tuple(need for need in node.needs if not need.startswith("cell/"))
            behind: object = self._behind(own[0]) if own else None
            key = (node.kind, repr(node.resources), others, behind, node.task.get("collection") if own else None)
            groups.setdefault(key, []).append(node)
        return [group[at : at + ARRAY] for group in groups.values() for at in range(0, len(group), ARRAY)]

    def _behind(self, cell: str) -> object:
        """What cells of one array have in common."""
        task = self.jobs.get(cell)
        return task and task.partition("_")[0]

    def _submit(self, nodes: Sequence[Node]) -> None:
        dependency = self._dependency(nodes)
        tag = f"{nodes[0].kind}-{uuid.uuid4().hex[:12]}"
        script = self.script(tag, nodes, dependency)
        self.scripts.append(script)
        if self.dry:
            # The number that Slurm will give it is not known.
            self.jobs |= {node.name: f"<job limbeck-{tag}>_{number}" for number, node in enumerate(nodes)}
            return
        (self.store.folder / "logs").mkdir(parents=True, exist_ok=True)
        write_text(self.folder / f"{tag}.txt", "".join(f"{node.name}\n" for node in nodes))
        write_text(self.folder / f"{tag}.sh", script)
        command = ["sbatch", "--parsable", str(self.folder / f"{tag}.sh")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip() or f"exit {done.returncode}"
            raise UsageError(f"{self.folder / tag}.sh: sbatch refused it: {reason}; mend the study's `compute:`")
        job = done.stdout.strip().partition(";")[0]
        self.jobs |= {node.name: f"{job}_{number}" for number, node in enumerate(nodes)}
        after = f", {dependency}" if len(dependency) < 80 else ""
        say(self.console, f"slurm: job {job}: {len(nodes)} of {nodes[0].kind}{after}")

    def _dependency(self, nodes: Sequence[Node]) -> str:
        """What an array waits for: each task for its own one of another array, else for all that any of them needs."""
        queued = [need for need in dict.fromkeys(need for node in nodes for need in node.needs) if need in self.jobs]
        if not queued:
            return ""
        parts = []
        cells = [[need for need in node.needs if need.startswith("cell/") and need in self.jobs] for node in nodes]
        if all(len(each) == 1 for each in cells):
            tasks = [self.jobs[cell].partition("_") for [cell] in cells]
            if len({job for job, _, _ in tasks}) == 1 and [int(n) for _, _, n in tasks] == list(range(len(nodes))):
                parts.append(f"aftercorr:{tasks[0][0]}")
                queued = [need for need in queued if not need.startswith("cell/")]
        if queued:
            parts.append("afterok:" + ":".join(self.jobs[need] for need in queued))
        dependency = ",".join(parts)
        if len(dependency) > ARGUMENTS:
            raise UsageError(f"{nodes[0].name}: needs {len(queued)} tasks, more than Slurm takes in one dependency")
        return dependency

    def script(self, tag: str, nodes: Sequence[Node], dependency: str) -> str:
        """The batch script of an array. Its tasks need no more than this folder and the environment of `sbatch`."""
        resources, folder = nodes[0].resources, self.store.folder.resolve()
        minutes = self._minutes(nodes)
        options = {
            "job-name": f"limbeck-{tag}",
            "array": f"0-{len(nodes) - 1}",
            "output": folder / "logs" / "slurm-%A_%a.txt",
            "open-mode": "append",
            "requeue": None,
            "signal": f"B:USR1@{LAST_SECONDS if minutes is None else min(LAST_SECONDS, minutes * 30)}",
            "time": minutes,
            "nodes": 1,
            "ntasks": 1,
            "cpus-per-task": (resources.cpus or 1) * resources.processes,
            "gpus-per-node": (resources.gpus or 0) * resources.processes or None,
            "mem": resources.memory,
            "partition": resources.partition,
            "account": resources.account,
            "constraint": resources.constraint,
            "dependency": dependency or None,
            "kill-on-invalid-dep": "yes" if dependency else None,
        }
        lines = [
            f"#SBATCH --{name}" if value is None else f"#SBATCH --{name}={value}"
            for name, value in options.items()
            if value is not None or name == "requeue"
        ]
        threads = f"export OMP_NUM_THREADS={resources.cpus}\n" if resources.cpus else ""
        return _SCRIPT.format(
            options="\n".join(lines), threads=threads, python=shlex.quote(sys.executable),
            output=shlex.quote(str(folder)), nodes=shlex.quote(str(self.folder / f"{tag}.txt")),
        )  # fmt: skip

    def _minutes(self, nodes: Sequence[Node]) -> int | None:
        """What the study states, else what the plan gives with some to spare; else the partition's own limit."""
        if nodes[0].resources.hours:
            return max(1, round(nodes[0].resources.hours * 60))
        hours = [node.hours for node in nodes]
        if None in hours:
            return None
        return max(15, round(max(each for each in hours if each is not None) * SPARE * 60))


def batch_scripts(graph: Graph, store: Store, console: Console) -> list[str]:
    """The scripts in which all that is left would be submitted; nothing is."""
    states = NodeStates(graph, store).look()
    slurm = Slurm(graph, store, console, dry=True)
    slurm.start([node for node in graph.nodes if states[node.name].state is not State.DONE], lambda node: None)
    return slurm.scripts


ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
)
"""States in which a job is over, though squeue may still show it for a while."""

_SCRIPT = """#!/bin/bash
{options}
# One node of a limbeck study; its result and its state are files in the study's folder.
{threads}node=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {nodes})
late=
# Time is nearly up: the work saves what it has and is queued again.
trap 'late=yes; kill -TERM $worker' USR1
trap 'kill -TERM $worker' TERM
for patience in 1 2 3 4 5 6 7 8; do
    {python} -m limbeck study work {output} "$node" &
    worker=$!
    wait $worker
    code=$?
    # The shell returns from `wait` when a signal comes, while the work goes on.
    while kill -0 $worker 2>/dev/null; do wait $worker; code=$?; done
    # 75: another process holds the node, perhaps one that died a moment ago.
    if [ $code -ne 75 ]; then break; fi
    sleep 15
done
echo "$node: exit $code, start ${{SLURM_RESTART_COUNT:-0}}"
case $code in
    0 | 7 | 75) exit $code ;;
    130) again=$late ;;
    # Its process died (137: killed, as when memory runs out): three more tries. Or it was told before it could listen.
    *) again=$late; if [ "${{SLURM_RESTART_COUNT:-0}}" -lt 3 ]; then again=yes; fi ;;
esac
if [ -n "$again" ]; then scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"; fi
exit $code
"""
