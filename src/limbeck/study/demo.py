"""The demo study, which the package carries with it."""

from importlib.resources import files
from pathlib import Path


def demo_study() -> Path:
    """The file: inside the installed package, or beside the sources of a checkout."""
    packaged = Path(str(files("limbeck"))) / "studies" / "demo.yaml"
    return packaged if packaged.is_file() else Path(__file__).parents[3] / "studies" / "demo.yaml"
