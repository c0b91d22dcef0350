"""Arrays on their way to a device."""

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


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
