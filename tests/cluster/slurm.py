"""A Slurm cluster of two nodes on this machine, without systemd: munged, slurmctld and two slurmd."""

import os
import platform
import shutil
import signal
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
NODES = ("n1", "n2")
CONFIG = """\
ClusterName=limbeck
SlurmctldHost={host}
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
ReturnToService=2
SlurmUser=root
SlurmdUser=root
SwitchType=switch/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SchedulerType=sched/builtin
SchedulerParameters=defer_batch,sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdTimeout=10
KillWait=5
MinJobAge=300
MessageTimeout=20
InactiveLimit=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
SlurmctldParameters=enable_configless
NodeName=n1 NodeHostname={host} Port={port1} CPUs=1 RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname={host} Port={port2} CPUs=1 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""


class SlurmCluster:
    """The cluster, from entering to leaving; `environment` is what its commands need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "SlurmCluster":
        base = 20_000 + os.getpid() % 10_000
        (self.folder / "state").mkdir(parents=True)
        for node in NODES:
            (self.folder / node).mkdir()
        text = CONFIG.format(
            host=platform.node(), folder=self.folder, port=base, port1=base + 10_001, port2=base + 20_002
        )
        (self.folder / "slurm.conf").write_text(text)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        os.chmod(self.folder, 0o755)
        self.start(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.folder}/munge.socket",
            f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
            f"--seed-file={self.folder}/munged.seed",
        )  # fmt: skip
        self.wait_for(lambda: (self.folder / "munge.socket").exists(), "munged")
        self.start("slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)
        self.wait_for(self.is_up, "two idle nodes")
        return self

    def __exit__(self, *error: object) -> None:
        self.run("scancel", "--user", "root")
        time.sleep(0.5)
        for name in ("slurmd n1", "slurmd n2", "slurmctld", "munged"):
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def start(self, *command: str, name: str = "") -> None:
        path = shutil.which(command[0]) or f"/usr/sbin/{command[0]}"
        self.processes[name or command[0]] = subprocess.Popen(
            [path, *command[1:]], env={**os.environ, **self.environment}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def start_node(self, node: str) -> None:
        self.start("slurmd", "-D", "-N", node, "-f", self.environment["SLURM_CONF"], name=f"slurmd {node}")

    def kill_node(self, node: str) -> None:
        """Kill a node as a power cut would: its slurmd, the steps it started, and all that these started."""
        victims = descendants(self.processes[f"slurmd {node}"].pid) | session_of(self.folder, node)
        for victim in [self.processes[f"slurmd {node}"].pid, *victims]:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.processes[f"slurmd {node}"].wait()

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    def is_up(self) -> bool:
        return self.run("sinfo", "--noheader", "--Node", "--format", "%T").split() == ["idle", "idle"]

    def wait_for(self, happens: object, what: str, seconds: float = 60) -> None:
        assert callable(happens)
        until = time.monotonic() + seconds
        while not happens():
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: not within {seconds:g} s")
            time.sleep(0.5)


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found: set[int] = set()
    left = [pid]
    while left:
        for child in parents.get(left.pop(), []):
            if child not in found:
                found.add(child)
                left.append(child)
    return found


def session_of(folder: Path, node: str) -> set[int]:
    """slurmstepd leaves its parent; it is known by the node's name in the environment of what it started."""
    found: set[int] = set()
    mark = f"SLURMD_NODENAME={node}".encode()
    conf = str(folder / "slurm.conf").encode()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            content = (path / "environ").read_bytes()
        except OSError:
            continue
        if mark in content.split(b"\0") and conf in content:
            found |= {int(path.name)} | descendants(int(path.name))
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent > 1 and b"slurmstepd" in Path(f"/proc/{parent}/cmdline").read_bytes():
                found.add(parent)
    return found
