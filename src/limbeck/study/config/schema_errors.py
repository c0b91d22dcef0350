"""Sentences about what is wrong in a study file."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from limbeck.core.errors import LimbeckError, nearest
from limbeck.core.schema import holds, in_values, known_keys, problem_of
from limbeck.core.yaml_file import Key, Problem
from limbeck.study.config.schema import StudyConfig


def attempt(key: Key, action: Callable[..., object], *arguments: object) -> Iterator[Problem]:
    """The problem that `action(*arguments)` runs into, if any."""
    try:
        action(*arguments)
    except LimbeckError as error:
        yield Problem(key, str(error))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence about a name that nothing has."""
    known = sorted(known)
    expected = ", ".join(known) or "one to be described"
    return f'"{name}" is no {kind} of this study; expected {expected}{nearest(name, known)}'


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
