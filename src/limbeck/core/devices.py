"""Devices: what they compute fast, in what precision, how arrays get there; and processes that have one device each.

Several processes that work on one model are started by `torchrun` or `accelerate launch`, which tell each its number in
environment variables. Every process runs the same program on the same data; pairs are dealt out among them, and what
each computed is added up.
"""

import atexit
import ctypes
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from limbeck.core.errors import UsageError

Item = TypeVar("Item")
Made = TypeVar("Made")
GPU_SHARE = "LIMBECK_GPU_SHARE"
"""The environment variable that says what share of a GPU a process has, beside others: 0.5."""

PRECISIONS = ("auto", "fp32", "tf32", "bf16", "fp16")
"""Number formats of products; weights are float32 in all of them. `auto` is the fastest that is safe on the device."""


def default_device() -> torch.device:
    """CUDA's current device where there is one, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be had on a CUDA device, those that torch keeps for itself included; None elsewhere.

    Where the process has a share of the device (`GPU_SHARE`), no more than that share of its memory.
    """
    if device.type != "cuda":
        return None
    used = torch.cuda.memory_allocated(device)
    free, total = torch.cuda.mem_get_info(device)
    share = float(os.environ.get(GPU_SHARE) or 1)
    return int(min(free + torch.cuda.memory_reserved(device) - used, share * total - used))


def to_device(array: NDArray[Any] | torch.Tensor, device: torch.device) -> torch.Tensor:
    """The array as a tensor on `device`; to CUDA through pinned memory, so that nobody waits for the copy."""
    tensor = torch.from_numpy(array) if isinstance(array, np.ndarray) else array
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_LARGEST = (1 << 31) - 1


@cache
def keep_freed_memory() -> bool:
    """Let glibc's malloc reuse large blocks; whether it does. Nothing happens elsewhere than on Linux with glibc.

    By default it maps every block of more than 32 MiB anew and gives it back when it is freed, so that the system
    zeroes the same pages for each activation of each layer: 7 to 8 % of a training step (docs/LOG.md).
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30) and mallopt(_M_TRIM_THRESHOLD, _LARGEST))


@dataclass(frozen=True)
class Precision:
    """A precision that was decided on, and what is to be said about it; None where nothing is."""

    name: str
    note: str | None = None


def choose_precision(precision: str, device: torch.device, fp16: bool = True) -> Precision:
    """What a precision comes to on a device.

    Args:
        precision: one of `PRECISIONS`.
        fp16: whether the model's activations stay within what float16 holds.

    Raises:
        UsageError: an unknown one; float16 for a model that overflows in it; tf32 without a CUDA device.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision: {precision!r} is not known; expected one of {', '.join(PRECISIONS)}")
    if precision == "fp16" and not fp16:
        raise UsageError(
            "precision: this architecture overflows in fp16; expected bf16, or fp32 where there is no bf16"
        )
    if device.type != "cuda":
        if precision == "tf32":
            raise UsageError("precision: tf32 is what CUDA devices have; expected fp32 or auto")
        if precision == "auto":
            return Precision("bf16" if has_fast_bf16_cpu() else "fp32")
        slow = (precision == "bf16" and not has_fast_bf16_cpu()) or precision == "fp16"
        note = f"{precision} is emulated on this CPU and slower than fp32, which precision auto takes here"
        return Precision(precision, note if slow else None)
    capability = torch.cuda.get_device_capability(device)
    if precision == "auto":
        return Precision("bf16" if capability >= (8, 0) else "fp16" if fp16 and capability >= (7, 0) else "fp32")
    slow = precision in ("bf16", "tf32") and capability < (8, 0)
    note = (
        f"{precision} is not in this GPU's hardware (compute capability {capability[0]}.{capability[1]}, before Ampere)"
    )
    return Precision(precision, f"{note}; precision auto takes what is" if slow else None)


@cache
def has_fast_bf16_cpu() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware, and oneDNN is let."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE"):
        return False
    if sys.platform.startswith("linux") and os.uname().machine == "aarch64":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """The context in which products are computed in a precision that `choose_precision` gave."""
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    if dtype is not None:
        return torch.autocast(device.type, dtype=dtype)
    return _tf32() if precision == "tf32" else nullcontext()


@contextmanager
def _tf32() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def deterministic(asked: bool = True) -> Iterator[None]:
    """Compute so that the same numbers come out each time, also on CUDA: flash attention's backward pass, `index_add_`.

    An operation that cannot raises. cuBLAS reads its setting when it is first used, so this comes before any product.
    """
    if not asked:
        yield
        return
    switches: Any = torch.utils.deterministic
    before, fills = torch.are_deterministic_algorithms_enabled(), switches.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Nothing reads memory that nothing was written to; filling it would be one more pass over every tensor.
    switches.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        switches.fill_uninitialized_memory = fills


def fork_rng(device: torch.device) -> AbstractContextManager[Any]:
    """Give the random states of the CPU and of this device back at the end; of all GPUs, torch would warn."""
    index = torch.cuda.current_device() if device.type == "cuda" and device.index is None else device.index
    return torch.random.fork_rng(devices=[index] if device.type == "cuda" else [])


def seed_generators(device: torch.device, seed: int) -> None:
    """Seed what operations on this device draw from."""
    if device.type == "cpu":
        # Not `torch.manual_seed`: for every accelerator that is not there it writes the stack of the call down.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def ahead(make: Callable[[Item], Made], items: Iterable[Item], device: torch.device) -> Generator[Made]:
    """`make` of each item, in order; for CUDA two items ahead in a thread, while the device computes.

    What `make` raises is raised here, in its item's place. `make` must not talk to other processes, for the caller may.
    """
    if device.type != "cuda":
        yield from map(make, items)
        return
    with ThreadPoolExecutor(1, "limbeck-ahead") as pool:
        rest = iter(items)
        pending: deque[Future[Made]] = deque(pool.submit(make, item) for item in islice(rest, 2))
        while pending:
            found = pending.popleft().result()
            pending.extend(pool.submit(make, item) for item in islice(rest, 1))
            yield found


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
