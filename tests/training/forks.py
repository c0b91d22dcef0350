"""Starts processes that work together, for test_processes.py: as torchrun does, but as forks of this one.

    forks.py FOLDER

It has imported what takes seconds, so that each begins at once. A line of standard input, `[count, program, argument,
…]` as JSON, is one start; the answer is a line of JSON, `[exit codes, standard output, standard error]`.
"""

import gc
import json
import os
import runpy
import signal
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import torch.distributed as dist
from torch.distributed.fsdp import fully_shard  # noqa: F401

spec = spec_from_file_location("training_conftest", Path(__file__).with_name("conftest.py"))
assert spec is not None
assert spec.loader is not None
conftest = module_from_spec(spec)
spec.loader.exec_module(conftest)


def serve(folder: Path) -> None:
    """Answer until standard input ends; what forks print goes through files in `folder`."""
    for line in sys.stdin:
        count, program, *arguments = json.loads(line)
        streams = [folder / name for name in ("out", "err")]
        for path in streams:
            path.write_bytes(b"")
        ended, port = store()
        children = set()
        for rank in range(count):
            child = os.fork()
            if not child:
                os.close(ended)
                become(rank, count, port, streams)
                sys.argv = [program, *arguments]
                runpy.run_path(program, run_name="__main__")
                return  # as any program does: what is registered for its end is done
            children.add(child)
        codes = wait(children)
        os.close(ended)
        os.wait()
        print(json.dumps([codes, *(path.read_text() for path in streams)]), flush=True)


def wait(children: set[int]) -> list[int]:
    """Exit codes of processes, in the order of their ends. Where one fails, the others are killed, as they wait."""
    codes = []
    while children:
        child, status = os.wait()
        children.discard(child)
        codes.append(os.waitstatus_to_exitcode(status))
        if codes[-1]:
            for other in children:
                os.kill(other, signal.SIGKILL)
    return codes


def store() -> tuple[int, int]:
    """Start the process at which the others meet: (what is to be closed to end it, its port)."""
    told, tell = os.pipe()
    end, ended = os.pipe()
    if os.fork():
        os.close(tell)
        os.close(end)
        port = int(os.read(told, 8))
        os.close(told)
        return ended, port
    os.close(ended)
    meeting = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.write(tell, b"%d" % meeting.port)
    os.read(end, 1)
    os._exit(0)


def become(rank: int, count: int, port: int, streams: list[Path]) -> None:
    """Make this fork what torchrun would have started, for five minutes at most."""
    signal.alarm(300)
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip


os.environ["LIMBECK_CACHE"] = f"{sys.argv[1]}/cache"
conftest.warm(conftest.make_plan(conftest.write_model(Path(sys.argv[1]) / "bert")))
gc.collect()
gc.freeze()  # else each fork looks through all that is imported, and so copies it, when it ends
serve(Path(sys.argv[1]))
