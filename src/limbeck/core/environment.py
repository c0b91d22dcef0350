"""What a result was made with: versions of packages and of limbeck itself, the machine, and no names of people."""

import getpass
import os
import platform
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "pyarrow",
    "ir_datasets", "ir_measures", "pytrec_eval-terrier", "bm25s", "PyStemmer",
)  # fmt: skip
"""Those whose version can change a number."""


def versions() -> dict[str, str]:
    """Package → version, of limbeck, Python and every package whose version can change a number."""
    from limbeck import __version__

    found = {"limbeck": __version__, "python": platform.python_version()}
    return {**found, **{package: metadata.version(package) for package in PACKAGES}}


def commit() -> str | None:
    """limbeck's own git commit, with `-dirty` where files differ from it; None outside a checkout of it."""
    package = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(package), *words], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed copy may lie in a repository of something else, which does not track it.
    if git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def machine() -> dict[str, Any]:
    """Processor, memory (GiB) and GPUs; no host name."""
    import torch

    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(pages * size / 2**30, 1),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
    }


def command() -> str:
    """The command that this process was started with, as a shell takes it."""
    name = Path(sys.argv[0]).name
    return shlex.join(["limbeck" if name == "__main__.py" else name, *sys.argv[1:]])


def unnamed(value: Any) -> Any:
    """Plain JSON values with the home folder as `~` and the user's name, where it is part of a path, as `USER`."""
    if isinstance(value, dict):
        return {unnamed(key): unnamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unnamed(item) for item in value]
    if not isinstance(value, str):
        return value
    home = str(Path.home())
    text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", value) if home != "/" else value
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        return text  # a container whose user has no name
    return re.sub(rf"(?<=/){re.escape(user)}(?![\w.-])", "USER", text)


def cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
