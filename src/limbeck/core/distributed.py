"""Several processes that work on one model together, each with a device of its own.

They are started by `torchrun` or `accelerate launch`, which tell each its number in environment variables. Every
process runs the same program on the same data; pairs are dealt out among them, and what each computed is added up.
"""

import atexit
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist

from limbeck.core.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """This process among the `count` that work together; without arguments, one that works alone.

    Attributes:
        rank: its number, from 0. The first one writes files and prints.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def joined(cls) -> "Processes":
        """Meet the processes that were started together with this one; alone where none were.

        Tensors in memory are exchanged through gloo, those on CUDA devices through NCCL.
        """
        count = started_together()
        if count == 1:
            return cls()
        if not dist.is_initialized():
            if torch.cuda.is_available():
                local = int(os.environ.get("LOCAL_RANK", 0))
                if local >= torch.cuda.device_count():
                    raise UsageError(
                        f"process {local} of this machine has no CUDA device of its own, there are "
                        f"{torch.cuda.device_count()}; start as many, or train on the CPU (CUDA_VISIBLE_DEVICES=)"
                    )
                torch.cuda.set_device(local)
            dist.init_process_group()
            atexit.register(_leave)
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.count > 1:
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                work.wait()

    def gather(self, number: int) -> list[int]:
        """The number of each process; exchanged in memory, not through a device."""
        if self.count == 1:
            return [number]
        numbers = torch.zeros(self.count, dtype=torch.int64)
        numbers[self.rank] = number
        dist.all_reduce(numbers)
        return numbers.tolist()


ALONE = Processes()


def _leave() -> None:
    """Part from the other processes at this one's end."""
    dist.destroy_process_group()
    # A sharded model keeps the group's threads alive. They give back the last exchange's tensors, need the interpreter
    # for it, and abort the process where it is gone: leave it to them for a moment.
    time.sleep(0.2)


def started_together() -> int:
    """How many processes were started together with this one, itself included."""
    text = os.environ.get("WORLD_SIZE", "1")
    if not text.isdecimal() or not int(text):
        raise UsageError(f"WORLD_SIZE is {text!r}, expected a number of processes ≥ 1, as torchrun sets it")
    return int(text)
