"""Sentences about what is wrong in a study file."""

import copy
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from limbeck.core.errors import LimbeckError, nearest
from limbeck.core.yaml_file import Key, Problem
from limbeck.study.config.schema import StudyConfig, known_keys


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
        return None, [Problem((), f"holds {found}; expected a mapping with {', '.join(known_keys(()))}")]
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
        places = {_to_drop(left, _in_values(fault["loc"], left), fault["type"]) for fault in faults}
        for place in sorted(places, key=lambda key: [(isinstance(part, int), part) for part in key], reverse=True):
            _drop(left, place)
    return None, problems or []


def _problem(fault: Any, values: Any) -> Problem:
    key = _in_values(fault["loc"], values)
    kind, given = fault["type"], fault["input"]
    if kind == "missing":
        name = str(fault["loc"][-1])
        return Problem((*key, name), "is missing")
    if kind == "extra_forbidden":
        known = known_keys(key[:-1])
        return Problem(key, f"is no key of this section; expected {', '.join(known)}{nearest(str(key[-1]), known)}")
    expected = _expected(fault)
    choices = re.findall(r"'(.*?)'", str(fault.get("ctx", {}).get("expected", "")))
    hint = nearest(given, choices) if kind == "literal_error" and isinstance(given, str) else ""
    if kind == "string_type" and isinstance(given, int | float):
        hint = ", in quotes where it looks like a number"
    return Problem(key, f"is {_shown(given)}; expected {expected}{hint}")


def _expected(fault: Any) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    for bound, words in (("ge", "a number ≥ "), ("gt", "a number above "), ("lt", "a number below ")):
        if bound in context:
            return f"{words}{context[bound]:g}"
    if fault["loc"] == ("seeds",):
        return "a number of seeds from 1 to 10000, or a list of seeds such as [1, 2, 3]"
    return {
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "a text",
        "dict_type": "a mapping",
        "model_type": "a mapping",
        "list_type": "a list",
        "literal_error": context.get("expected", ""),
        "finite_number": "a finite number",
        "too_short": "at least one entry",
        "string_too_short": "a text that is not empty",
    }.get(kind) or str(fault["msg"]).removeprefix("Input should be ")


def _shown(value: Any) -> str:
    text = "empty" if value is None else f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _in_values(location: tuple[int | str, ...], values: Any) -> Key:
    """The part of pydantic's location that exists in the values."""
    key: list[str | int] = []
    for part in location:
        if not _holds(values, part):
            break
        key.append(part)
        values = values[part]
    return tuple(key)


def _holds(values: Any, part: str | int) -> bool:
    if isinstance(values, dict):
        return part in values
    return isinstance(values, list) and isinstance(part, int) and part < len(values)


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
        if not _holds(inner, part):
            return
        inner = inner[part]
    if _holds(inner, key[-1]):
        del inner[key[-1]]
