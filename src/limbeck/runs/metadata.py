"""What a run was made with, beside it, as ir_metadata has it (Breuer, Keller and Schaer 2022, SIGIR; schema 0.1).

Of its sections (PRIMAD) limbeck knows platform, implementation, method and data; research goal and actor are left to
whoever publishes the run.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from limbeck.core.environment import command, commit, cpu, unnamed, versions
from limbeck.core.files import write_text
from limbeck.runs.run import run_name


def metadata_path(run: Path) -> Path:
    """Where a run's metadata is: `bm25.ir-metadata.yml` beside `bm25.run`."""
    return run.with_name(f"{run_name(run)}.ir-metadata.yml")


def write_metadata(
    run: Path, tag: str, collection: str | None, stage: Mapping[str, Any], on: Sequence[Path] = ()
) -> None:
    """Write a run's metadata beside it.

    Args:
        tag: the run's sixth column.
        collection: its name, which is an ir_datasets id where it came from there; None where it is not known.
        stage: what made the run: `method`, its parameters, and `reranks` or `interpolates`: names of earlier stages.
        on: the runs that it was made of, whose own stages come first where their metadata is there.
    """
    stages = {earlier["name"]: earlier for path in on for earlier in _stages(path)}
    found = {
        "schema version": 0.1,
        "tag": tag,
        "platform": _platform(),
        "implementation": {
            "executable": {"cmd": command()},
            "source": {"lang": ["python"], **({"commit": made} if (made := commit()) else {})},
        },
        "method": {
            "automatic": True,
            "score ties": "score descending, then docid descending by bytes (trec_eval)",
            "retrieval": [*stages.values(), {"name": run_name(run), **stage}],
        },
        **({"data": {"test collection": {"name": collection}}} if collection else {}),
    }
    write_text(metadata_path(run), yaml.safe_dump(unnamed(found), sort_keys=False, allow_unicode=True))


def _stages(run: Path) -> list[dict[str, Any]]:
    """The stages of an earlier run: of its metadata, or the run itself, of which nothing more is known."""
    unknown = [{"name": run_name(run), "method": "read from a run file"}]
    try:
        found = yaml.safe_load(metadata_path(run).read_text(encoding="utf-8"))
        stages = found["method"]["retrieval"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return unknown  # no file of ours, or edited by hand: the run itself is what counts
    if not (isinstance(stages, list) and stages and all(isinstance(s, dict) and "name" in s for s in stages)):
        return unknown
    return stages


def _platform() -> dict[str, Any]:
    installed = versions()
    own = installed.pop("limbeck")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "hardware": {
            "cpu": {"model": cpu(), "architecture": platform.machine(), "number of cores": os.cpu_count()},
            "ram": f"{memory:.0f} GB",
        },
        "operating system": {"kernel": f"{platform.system()} {platform.release()}"},
        "software": {
            "libraries": {"python": [f"{name}=={version}" for name, version in installed.items()]},
            "retrieval toolkit": [f"limbeck=={own}"],
        },
    }
