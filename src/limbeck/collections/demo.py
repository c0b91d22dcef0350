"""The built-in collection: small, our own, and inside the package, so that everything can be tried at once."""

from importlib.resources import files
from pathlib import Path

from limbeck.collections.beir import load_folder
from limbeck.collections.collection import Collection

NAME = "demo"


def load_demo(name: str, split: str | None) -> Collection:
    """`demo`, with the splits `train`, `valid` and `test` (None: `test`)."""
    return load_folder(name, Path(str(files("limbeck.collections"))) / "demo_collection", split)
