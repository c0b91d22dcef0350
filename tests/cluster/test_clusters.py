"""The same study on every executor, undisturbed and harassed: the same bytes as in one process.

    make test-cluster                       every proof, once; `.ci/run` calls those that wait for no clock and need
                                            nothing installed: local processes, of which one is killed, and damage
    make test-cluster KILLS=50              the long version: at least so many random kills for each executor

A failure prints its seed; LIMBECK_TEST_SEED repeats it, as far as moments can be repeated.
"""

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from limbeck.core.errors import UsageError
from limbeck.study.config.schema import Resources
from limbeck.study.config.study import load_study
from limbeck.study.run.build_graph import prepare
from limbeck.study.run.executors.local import Local
from limbeck.study.run.graph import Node
from limbeck.study.run.status import NodeStates, State
from limbeck.study.run.store import Store

KILLS = int(os.environ.get("LIMBECK_TEST_KILLS", "1"))
SEED = int(os.environ.get("LIMBECK_TEST_SEED", random.SystemRandom().randrange(10**6)))
LEASE = 20  # longer than a slow machine keeps a process from touching its attempt
SHORT_LEASE = 4  # where it is waited for that one ends
LIMIT = 900  # seconds for a driver
HERE = Path(__file__).parent
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"cluster_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


study_conftest, slurm = load(HERE.parent / "study" / "conftest.py"), load(HERE / "slurm.py")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    found = {"LIMBECK_CACHE": str(tmp_path_factory.mktemp("cache")), "LIMBECK_LEASE": str(LEASE)}
    return {**os.environ, **found, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One recipe from two seeds, in two stages of which the first is shared with another recipe's."""
    folder = tmp_path_factory.mktemp("study")
    study_conftest.write_collection(folder / "mini")
    study_conftest.write_model(folder / "bert")
    values = study_conftest.tiny_study()
    del values["validation"], values["teachers"], values["lists"]["taught"]
    stage = {"objective": "InfoNCE", "lists": "judged", "steps": 6, "lists_per_step": 2}
    values["recipes"] = {"InfoNCE": [stage], "Both": [stage, {**stage, "objective": "BCE"}]}
    values["optimizer"] = {"checkpoint_every": 2}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def reference(study: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one process."""
    output = tmp_path_factory.mktemp("reference") / "out"
    assert Driver(study, output, environment, None).wait() == 0
    return output


class Driver:
    """`limbeck study run` as a process of its own; what it says is in `said`."""

    def __init__(
        self, study: Path, output: Path, environment: dict[str, str], on: str | None, prefix: tuple[str, ...] = ()
    ) -> None:
        command = [*prefix, sys.executable, "-m", "limbeck", "study", "run", str(study), "--output", str(output)]
        self.output = output
        self.path = output.with_name(f"{output.name}-{time.monotonic_ns()}.txt")
        with self.path.open("wb") as stream:
            self.process = subprocess.Popen(
                [*command, *(["--on", on] if on else [])], env=environment, stdout=stream, stderr=stream
            )

    @property
    def said(self) -> str:
        return self.path.read_text()

    def wait(self) -> int:
        try:
            return self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the driver hangs:\n{self.said}") from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def attempts(output: Path) -> list[tuple[str, dict[str, Any]]]:
    """(key, record) of all attempts."""
    found = []
    for path in output.glob("attempts/*/*.json"):
        with suppress(ValueError, OSError):
            found.append((path.name.partition(".")[0], json.loads(path.read_text())))
    return found


def at_work(output: Path) -> list[int]:
    """The processes that hold a node now, or died at it."""
    return [
        record["pid"]
        for key, record in attempts(output)
        if record.get("pid") and "status" not in record and key != "report"
    ]


def training(output: Path) -> list[str]:
    """The keys of the trainings at work now."""
    return [
        key
        for key, record in attempts(output)
        if "status" not in record and record.get("node", "").startswith(("cell/", "prefix/"))
    ]


def until(happens: Callable[[], Any], what: str, seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while not (found := happens()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)
    return found


def results(output: Path) -> dict[str, bytes]:
    """What must be equal, byte by byte."""
    patterns = ("cells/*/model/model.safetensors", "cells/*/evaluations/*/run.gz", "cells/*/evaluations/*/values.json",
                "shared/runs/*", "report/results.csv")  # fmt: skip
    found = {str(path.relative_to(output)): path.read_bytes() for each in patterns for path in output.glob(each)}
    assert len(found) > 10, f"{output}: {sorted(found)}"
    return found


def expect_same(output: Path, reference: Path) -> None:
    ours, theirs = results(output), results(reference)
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if ours[name] != theirs[name]]
    done = Counter(key for key, record in attempts(output) if record.get("status") == "done" and key != "report")
    assert set(done.values()) == {1}, f"nodes that were finished more than once: {done}"


def harass(study: Path, output: Path, environment: dict[str, str], on: str, kills: int) -> dict[str, int]:
    """Kill processes that hold a node at random moments until enough are dead; then let the study come to its end."""
    draw, drivers = random.Random(SEED), 0
    killed: set[int] = set()  # each counts once, though its attempt goes on looking as if it lived
    for _ in range(kills + 3):
        driver = Driver(study, output, environment, on)
        drivers += 1
        while driver.process.poll() is None:
            time.sleep(draw.uniform(0.05, 1.5))
            if len(killed) < kills and (found := sorted(set(at_work(output)) - killed)):
                with suppress(ProcessLookupError):
                    os.kill(victim := draw.choice(found), signal.SIGKILL)
                    killed.add(victim)
        code = driver.process.returncode
        assert code in (0, 7), f"seed {SEED}: exit {code}:\n{driver.said}"
        if code == 0 and len(killed) < kills:
            # All is done: what is left to kill for is made anew.
            for cell in list((output / "cells").iterdir()):
                shutil.rmtree(cell)
            for attempt in output.glob("attempts/*/*.json"):
                attempt.unlink()
        elif code == 0:
            return {"kills": len(killed), "drivers": drivers, "attempts": len(attempts(output))}
    raise AssertionError(f"seed {SEED}: not finished after {drivers} drivers and {len(killed)} kills:\n{driver.said}")


def report(name: str, found: dict[str, int]) -> None:
    print(f"\n{name}: seed {SEED}: {json.dumps(found)}")


def test_two_local_processes_give_the_same_bytes_and_kills_change_nothing(
    study: Path, environment: dict[str, str], reference: Path, tmp_path: Path
) -> None:
    report("local:2", harass(study, tmp_path / "out", environment, "local:2", KILLS))
    expect_same(tmp_path / "out", reference)


def test_visible_gpus_are_shared_out_among_local_processes(
    study: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**environment, "CUDA_VISIBLE_DEVICES": "4,7"}.items():
        monkeypatch.setenv(name, value)
    values = yaml.safe_load(study.read_text())
    values["compute"] = {"default": {"gpus": 1}}
    path = study.with_name("with-gpus.yaml")
    path.write_text(yaml.safe_dump(values))
    store, quiet = Store(tmp_path / "out"), Console(quiet=True)
    graph = prepare(load_study(path), store, quiet)
    first = [node for node in graph.nodes if not node.needs]
    local, begun = Local(graph, store, quiet, count=3), list[Node]()
    try:
        assert local.start([*first, graph.nodes[-1]], begun.append)
        assert {node.name for node in begun} == {node.name for node in first}  # a third process is free, but no GPU
        until(lambda: not local.at_work(), "the end of both")
    finally:
        local.close()
    states = NodeStates(graph, store).look()
    assert [states[node.name].state for node in begun] == [State.DONE, State.DONE]
    assert sorted(record["gpus"] for _, record in attempts(store.folder)) == ["4", "7"]
    with pytest.raises(UsageError, match="takes 3 GPUs by the study's `compute:`, but this machine shows 2"):
        local.start([replace(begun[0], resources=Resources(gpus=3))], begun.append)


def test_a_driver_that_is_killed_and_started_again_takes_up_its_workers_though_nothing_can_be_locked(
    study: Path, environment: dict[str, str], reference: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, fcntl\n"
        "def flock(*_):\n"
        "    raise OSError(errno.ENOLCK, 'No locks available')\n"
        "fcntl.flock = flock\n"
    )
    without = {**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    without["LIMBECK_CACHE"] = str(tmp_path / "cache")
    driver = Driver(study, output, without, "local:2")
    until(lambda: at_work(output), "a node at work")
    driver.kill()
    assert Driver(study, output, without, "local:2").wait() in (0, 7)  # 7: others hold the last cells
    until(lambda: not at_work(output), "the end of the workers")
    assert Driver(study, output, without, "local:2").wait() == 0
    expect_same(output, reference)


def test_a_worker_that_was_stopped_past_its_lease_publishes_nothing(
    study: Path, environment: dict[str, str], reference: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    short = {**environment, "LIMBECK_LEASE": str(SHORT_LEASE)}
    stopped = Driver(study, output, short, None)
    until(lambda: training(output), "a training")
    stopped.process.send_signal(signal.SIGSTOP)
    held = [key for key, record in attempts(output) if "status" not in record and key != "report"]
    time.sleep(SHORT_LEASE + 1)
    assert Driver(study, output, short, None).wait() == 0
    before = results(output)
    stopped.process.send_signal(signal.SIGCONT)
    stopped.wait()
    assert results(output) == before
    expect_same(output, reference)
    lost = [record for key, record in attempts(output) if key in held and record["status"] == "died"]
    assert len(lost) == len(held)
    assert all("taken_by" in record for record in lost)


def test_what_is_damaged_is_made_again_and_nothing_else(
    study: Path, environment: dict[str, str], reference: Path, tmp_path: Path
) -> None:
    output = Path(shutil.copytree(reference, tmp_path / "out"))
    before = {key for key, record in attempts(output)}
    weights = sorted(output.glob("cells/*/model/model.safetensors"))[0]
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1  # one bit, and the size stays
    weights.write_bytes(content)
    values = sorted(output.glob("cells/*/evaluations/*/values.json"))[-1]
    values.write_bytes(values.read_bytes()[:40])
    assert Driver(study, output, environment, None).wait() == 0
    assert results(output).keys() == results(reference).keys()
    assert {name for name, content in results(output).items() if content != results(reference)[name]} == set()
    # Beginnings that cells share were removed once all were done.
    again = [record.get("node", "report") for _, record in attempts(output) if record.get("attempt") == 2]
    assert sorted(name.partition("/")[0] for name in again) == ["cell", "evaluate", "prefix", "report"], again
    assert before == {key for key, _ in attempts(output)}


def test_a_full_disk_fails_nodes_and_with_room_the_same_command_ends_with_the_same_bytes(
    study: Path, environment: dict[str, str], reference: Path, tmp_path: Path
) -> None:
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a small file system (unshare --user --map-root-user --mount)")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = f"{sys.executable} -m limbeck study run {study} --output {disk}/out --on local:2"
    script = (
        f"mount -t tmpfs -o size=400k tmpfs {disk}; {command}; echo first $?; mount -o remount,size=64m {disk}; "
        f"{command} && cp -rp {disk}/out {tmp_path}/out"
    )
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", script],
        env={**environment, "LIMBECK_LEASE": str(SHORT_LEASE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first 0" not in done.stdout
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    expect_same(tmp_path / "out", reference)


@pytest.fixture(scope="module")
def slurm_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    absent = [name for name in slurm.PROGRAMS if not (shutil.which(name) or Path(f"/usr/sbin/{name}").exists())]
    if absent or os.getuid():
        pytest.skip(
            f"Slurm's {', '.join(absent)} are not installed" if absent else "Slurm is started here by root only"
        )
    with slurm.SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


def test_slurm_with_two_nodes_gives_the_same_bytes_though_tasks_nodes_and_workers_die(
    study: Path, environment: dict[str, str], reference: Path, tmp_path: Path, slurm_cluster: Any
) -> None:
    output, variables = tmp_path / "out", {**environment, **slurm_cluster.environment}
    driver = Driver(study, output, variables, "slurm")
    until(lambda: training(output), "a training")
    [task, *_] = slurm_cluster.run("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split()
    slurm_cluster.run("scontrol", "requeue", task)
    until(lambda: at_work(output), "a node at work")
    slurm_cluster.kill_node("n1")
    time.sleep(1)
    slurm_cluster.start_node("n1")
    driver.kill()
    found = harass(study, output, variables, "slurm", KILLS)
    report("slurm", found)
    expect_same(output, reference)


@pytest.fixture(scope="module")
def ray_cluster(environment: dict[str, str]) -> Iterator[Any]:
    pytest.importorskip("ray", reason='Ray is not installed: pip install "limbeck[ray]"')
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ.update(environment)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()
    os.environ.clear()
    os.environ.update(before)


def test_ray_with_two_nodes_gives_the_same_bytes_though_workers_and_a_node_die(
    study: Path, environment: dict[str, str], reference: Path, tmp_path: Path, ray_cluster: Any
) -> None:
    output, on = tmp_path / "out", f"ray:{ray_cluster.address}"
    driver = Driver(study, output, environment, on)
    until(lambda: at_work(output), "a node at work")
    [second] = [node for node in ray_cluster.list_all_nodes() if node is not ray_cluster.head_node]
    ray_cluster.remove_node(second, allow_graceful=False)
    ray_cluster.add_node(num_cpus=1)
    assert driver.wait() in (0, 7), driver.said
    report("ray", harass(study, output, environment, on, KILLS))
    expect_same(output, reference)


def test_torchrun_starts_processes_that_work_together() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [*command, str(HERE.parent / "training" / "leaving.py"), "whole"],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
