"""Kinds of teachers: each is a verb of `limbeck teach` and a key in a study; a module's `TEACHERS` names its own.

A kind declares what a user sets (`limbeck.core.options`) and how it teaches; options, keys, checks, and what decides
its signals derive from it. Nothing here imports torch before a teacher is at work.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from limbeck.collections import Collection
    from limbeck.runs import Run
    from limbeck.teachers.llm import Outcome


Gives = Literal["scores", "order", "grades"]
Keeps = Literal["embeddings", "scores", "calls"]


class Names(Protocol):
    """What the names that a user gives stand for."""

    def model_name(self, name: str) -> str:
        """A model as it is to be loaded."""

    def weights(self, name: str) -> str:
        """What stands for a model's weights."""

    def file(self, name: str) -> Path:
        """A file."""


class AsGiven:
    """Names of a command line: as they are."""

    def model_name(self, name: str) -> str:
        return name

    def weights(self, name: str) -> str:
        return name

    def file(self, name: str) -> Path:
        return Path(name)


@dataclass(frozen=True)
class Workplace:
    """Where a teacher works.

    Attributes:
        scores: folder of the scores that are kept.
        calls: file of the calls that are kept.
        console: where progress is shown.
        warn: told what a user should know.
        names: what the names in its settings stand for.
    """

    scores: Path
    calls: Path
    console: "Console"
    warn: Callable[[str], None]
    names: Names


@dataclass(frozen=True)
class Taught:
    """What a teacher gave.

    Attributes:
        teacher: its name.
        signals: query id → values [candidates] of what it `gives`: scores, places from the end, or grades, of which -1
            stands for none. Queries without any are left out.
        details: of how they came about, for lists' metadata.
        outcome: how an LLM's work went; `facts` in a sentence.
    """

    teacher: str
    signals: "Mapping[str, NDArray[np.floating[Any]]]"
    details: dict[str, str]
    outcome: "Outcome | None" = None
    facts: str = ""


class Teacher(Protocol):
    """A teacher as a user sets it: a declaration whose `model` names what teaches.

    Attributes:
        gives: its signal. Scores imply an order; grades are labels.
        keeps: what of its work is kept, and where: embeddings in the cache, scores in a folder, calls in a file.
    """

    gives: ClassVar[Gives]
    keeps: ClassVar[Keeps]

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are loaded in this process."""

    def describe(self, names: Names) -> dict[str, Any]:
        """What decides its signals, as plain values. LimbeckError for what is not there, or cannot be."""

    def teach(self, collection: "Collection", candidates: "Run", place: Workplace) -> Taught:
        """Its signals of a run's candidates. What was kept before is not made again.

        Raises what loading its models, and an LLM's work, raise.
        """


SIGNALS: dict[Gives, frozenset[str]] = {
    "scores": frozenset({"teacher_scores", "teacher_order"}),
    "order": frozenset({"teacher_order"}),
    "grades": frozenset({"labels"}),
}
"""What a teacher gives → the signals of its lists."""


def teacher_kinds() -> dict[str, type[Teacher]]:
    """Every kind of teacher by its name, in order."""
    return _kinds(tuple(sys.modules[__name__].__path__))


@cache
def _kinds(folders: tuple[str, ...]) -> dict[str, type[Teacher]]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(folders))
    return dict(sorted(each for module in modules for each in module.TEACHERS.items()))
