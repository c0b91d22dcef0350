"""Large blocks of memory, kept by the process instead of handed back after every operation."""

import ctypes
import sys
from functools import cache

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
