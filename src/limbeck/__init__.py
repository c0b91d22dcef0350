"""limbeck trains, distils, compares and evaluates transformer cross-encoder re-rankers.

    import limbeck as lb

offers the whole workflow: docs/python.md. Nothing heavy is imported before one of these names is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.collections import load_collection
    from limbeck.lists import read_lists, write_lists
    from limbeck.models.cross_encoder import CrossEncoder
    from limbeck.runs import read_run, write_run
    from limbeck.workflow import Study, compare, evaluate, rerank, retrieve, teach, train

__version__ = "0.1.0"

_DOORS = {
    "CrossEncoder": "limbeck.models.cross_encoder",
    "Study": "limbeck.workflow",
    "compare": "limbeck.workflow",
    "evaluate": "limbeck.workflow",
    "load_collection": "limbeck.collections",
    "read_lists": "limbeck.lists",
    "read_run": "limbeck.runs",
    "rerank": "limbeck.workflow",
    "retrieve": "limbeck.workflow",
    "teach": "limbeck.workflow",
    "train": "limbeck.workflow",
    "write_lists": "limbeck.lists",
    "write_run": "limbeck.runs",
}

__all__ = [
    "CrossEncoder",
    "Study",
    "compare",
    "evaluate",
    "load_collection",
    "read_lists",
    "read_run",
    "rerank",
    "retrieve",
    "teach",
    "train",
    "write_lists",
    "write_run",
]


def __getattr__(name: str) -> Any:
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_DOORS[name]), name)


def __dir__() -> list[str]:
    return __all__
