"""A study: its file, read and checked as a whole before anything is fetched or trained."""

import copy
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from limbeck.core.errors import UsageError
from limbeck.core.schema import holds, in_values, known_keys, placed, problem_of, read_text, rename_old_keys
from limbeck.core.yaml_file import Key, Problem, read_yaml
from limbeck.study.config.checks import check_references
from limbeck.study.config.resolver import Sources
from limbeck.study.config.schema import StudyConfig


class StudyError(UsageError):
    """Everything that is wrong with a study file, one problem a line.

    Attributes:
        problems: `FILE:LINE: KEY: what was found, what was expected`, in the order of the file.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        super().__init__("\n".join([f"{path}: {count}; nothing was fetched or trained", *problems]))


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
        path: its file; relative names in it are relative to its folder.
        text: the file's content.
        sources: what its names stand for, loaded when asked for.
        warnings: about keys that have another name today.
    """

    config: StudyConfig
    path: Path
    text: str = field(repr=False)
    sources: Sources = field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The study's name."""
        return self.config.name


def load_study(path: str | Path, with_files: bool = True) -> Study:
    """Read and check a study file. Collections and models that must be fetched first are only looked up by name.

    Args:
        with_files: whether files that it names must be there; without, it can be planned and rehearsed, not run.

    Raises:
        MissingError: no such file.
        StudyError: all that is wrong, together.
    """
    path = Path(path)
    return parse_study(read_text(path, "study file"), path, with_files)


def parse_study(text: str, path: Path, with_files: bool = True) -> Study:
    """Check the text of a study file that is, or was, at `path`; see `load_study`."""
    document = read_yaml(text)
    problems = list(document.problems)
    config = None
    sources = None
    warnings = rename_old_keys(StudyConfig, document.values)
    if document.values is not None or not problems:
        config, faults = check_shape(document.values)
        problems += faults
    if config is not None:
        sources = Sources(config, path.resolve().parent)
        known = {problem.key for problem in problems}
        found = check_references(config, document.values, problems, sources)
        # What stands in for a broken part has no line, and its problems are not the user's.
        found = [problem for problem in found if with_files or not problem.absent]
        problems += [p for p in found if p.key not in known and p.key[:2] in document.lines]
    if problems or config is None or sources is None:
        raise StudyError(path, placed(path, document, problems))
    return Study(config, path, text, sources, tuple(f"{path.name}: {warning}" for warning in warnings))


def demo_study() -> Path:
    """The demo's study file: inside the installed package, or beside the sources of a checkout."""
    packaged = Path(str(files("limbeck"))) / "studies" / "demo.yaml"
    return packaged if packaged.is_file() else Path(__file__).parents[4] / "studies" / "demo.yaml"


# Put where a section is missing or broken, so that the other sections can be checked further.
_STAND_INS: dict[str, Any] = {
    "name": "study",
    "collections": {"train": ["demo/train"], "test": ["demo/test"]},
    "backbones": {"-": {"model": "stand-in", "learning_rate": 1.0}},
    "lists": {"-": {"format": "run", "first_stage": "bm25", "labels": "qrels"}},
    "recipes": {"-": [{"objective": "BCE", "lists": "-", "steps": 10, "lists_per_step": 1}]},
}
_ROUNDS = 8


def check_shape(values: Any) -> tuple[StudyConfig | None, list[Problem]]:
    """The study of some YAML values, and all that is wrong with their keys and types.

    Faulty parts are left out of the study that is returned, for it serves to check the rest; None where nothing can be.
    """
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        return None, [Problem((), f"holds {found}; expected a mapping with {', '.join(known_keys(StudyConfig))}")]
    left = copy.deepcopy(values)
    problems: list[Problem] | None = None
    for _ in range(_ROUNDS):
        try:
            return StudyConfig.model_validate(left), problems or []
        except ValidationError as error:
            faults = error.errors(include_url=False)
        if problems is None:
            problems = [_problem(fault, values) for fault in faults]
        # Deepest and last first, so that what goes does not move what is still to go.
        places = {_to_drop(left, in_values(fault["loc"], left), fault["type"]) for fault in faults}
        for place in sorted(places, key=lambda key: [(isinstance(part, int), part) for part in key], reverse=True):
            _drop(left, place)
    return None, problems or []


def _problem(fault: Any, values: Any) -> Problem:
    problem = problem_of(StudyConfig, fault, values)
    if fault["loc"] == ("seeds",):
        found = problem.text.partition("; expected ")[0]
        expected = "a number of seeds from 1 to 10000, or a list of seeds such as [1, 2, 3]"
        return replace(problem, text=f"{found}; expected {expected}")
    return problem


def _to_drop(values: Any, key: Key, kind: str) -> Key:
    """What must go for a fault at `key`: a recipe goes whole, so that its other stages keep their numbers."""
    if len(key) >= 3 and key[0] == "recipes" and (kind == "missing" or len(key) == 3):
        return key[:2]
    return key


def _drop(values: dict[str, Any], key: Key) -> None:
    if not key:
        # Something at the top is missing.
        values.update({name: copy.deepcopy(value) for name, value in _STAND_INS.items() if name not in values})
        return
    inner: Any = values
    for part in key[:-1]:
        if not holds(inner, part):
            return
        inner = inner[part]
    if holds(inner, key[-1]):
        del inner[key[-1]]
