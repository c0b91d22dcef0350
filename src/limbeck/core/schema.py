"""Sections of a YAML file, derived from declarations (`limbeck.core.options`), and sentences about what is wrong there.

A section takes known keys with values of the right type: nothing is converted, nothing unknown is let pass.
"""

import dataclasses
import re
import types
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from limbeck.core.errors import LimbeckError, MissingError, UsageError, nearest
from limbeck.core.options import Declared, Was, settings_of
from limbeck.core.yaml_file import Document, Key, Problem, read_yaml, show

T = TypeVar("T")


class Section(BaseModel):
    """A mapping of known keys with values of the right type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def schema_of(declaration: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """How pydantic reads a mapping as a declaration: its keys strictly, then whatever the class itself refuses."""

    def read(values: Any, strictly: core_schema.ValidatorFunctionWrapHandler) -> Any:
        if isinstance(values, declaration):
            return values
        section = strictly(values)
        try:
            return declaration(**{name: getattr(section, name) for name in section.model_fields_set})
        except UsageError as error:
            raise PydanticCustomError("usage", "{text}", {"text": str(error)}) from None

    return core_schema.no_info_wrap_validator_function(
        read,
        handler.generate_schema(_section(declaration)),
        serialization=core_schema.plain_serializer_function_ser_schema(_plain, info_arg=True),
    )


def _plain(values: Any, info: core_schema.SerializationInfo) -> dict[str, Any]:
    """A declaration's values; without those at their default where only what was given is asked for."""
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(values).items()}
    if not (info.exclude_unset or info.exclude_defaults):
        return plain
    defaults = {setting.name: setting.default for setting in settings_of(type(values))}
    return {name: value for name, value in plain.items() if value != defaults[name]}


@cache
def _section(declaration: type) -> type[Section]:
    hints = get_type_hints(declaration, include_extras=True)
    fields: dict[str, Any] = {}
    for setting in settings_of(declaration):
        hint = hints[setting.name]
        if setting.many:
            hint = Annotated[hint, BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]
        fields[setting.name] = (hint, ... if setting.default is dataclasses.MISSING else setting.default)
    return create_model(declaration.__name__, __base__=Section, **fields)


def read_section(declaration: type[T], path: str | Path) -> tuple[T, list[str]]:
    """The declaration that a whole YAML file holds, and warnings.

    Raises:
        MissingError: no such file.
        UsageError: everything that is wrong with it, one problem a line: `FILE:LINE: KEY: …`.
    """
    path = Path(path)
    text = read_text(path)
    document = read_yaml(text)
    problems = list(document.problems)
    warnings: list[str] = []
    if document.values is not None or not problems:
        warnings = rename_old_keys(declaration, document.values)
        try:
            # Which type it is, is known at run time only.
            found: T = TypeAdapter(Declared[declaration]).validate_python(document.values)  # type: ignore[misc,valid-type]
        except ValidationError as error:
            faults = error.errors(include_url=False)
            problems += [problem_of(declaration, fault, document.values) for fault in faults]
    if problems:
        raise UsageError("\n".join(placed(path, document, problems)))
    return found, [f"{path.name}: {warning}" for warning in warnings]


def read_text(path: Path, noun: str = "file") -> str:
    """A YAML file's text. MissingError or UsageError where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MissingError(f"{path}: no such {noun}") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a folder; expected a {noun} in YAML") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}:1: not UTF-8 text ({error.reason}); convert the file to UTF-8") from None


def placed(path: Path, document: Document, problems: list[Problem]) -> list[str]:
    """Problems as `FILE:LINE: KEY: …`, in the order of the file, each once."""
    lines = [(problem.line or document.line(problem.key), problem) for problem in problems]
    lines.sort(key=lambda placed: placed[0])
    texts = [
        f"{path.name}:{line}: {show(problem.key)}{': ' if problem.key else ''}{problem.text}" for line, problem in lines
    ]
    return list(dict.fromkeys(texts))


def attempt(key: Key, action: Callable[..., object], *arguments: object) -> Iterator[Problem]:
    """The problem that `action(*arguments)` runs into, if any."""
    try:
        action(*arguments)
    except LimbeckError as error:
        yield Problem(key, str(error))


def known_keys(root: Any, key: Key = ()) -> list[str]:
    """The keys that the section at `key` may hold; none for one whose keys are the user's own names."""
    section = _section_at(root, key)
    return list(_hints(section)) if section is not None else []


def rename_old_keys(root: Any, values: Any) -> list[str]:
    """Give keys that have had another name once (`Was`) the one of today, in place; a sentence about each."""
    return list(_renamed(root, (), values))


def problem_of(root: Any, fault: Mapping[str, Any], values: Any) -> Problem:
    """The sentence about one of pydantic's errors in the values of a section."""
    key = in_values(fault["loc"], values)
    kind, given = fault["type"], fault["input"]
    if kind == "usage":
        return Problem(key, str(fault["ctx"]["text"]))
    if kind == "missing":
        name = str(fault["loc"][-1])
        return Problem((*key, name), "is missing")
    if kind == "extra_forbidden":
        known = known_keys(root, key[:-1])
        return Problem(key, f"is no key of this section; expected {', '.join(known)}{nearest(str(key[-1]), known)}")
    choices = re.findall(r"'(.*?)'", str(fault.get("ctx", {}).get("expected", "")))
    hint = nearest(given, choices) if kind == "literal_error" and isinstance(given, str) else ""
    if kind == "string_type" and isinstance(given, int | float):
        hint = ", in quotes where it looks like a number"
    return Problem(key, f"is {_shown(given)}; expected {_expected(fault)}{hint}")


def in_values(location: tuple[int | str, ...], values: Any) -> Key:
    """The part of pydantic's location that exists in the values."""
    key: list[str | int] = []
    for part in location:
        if not holds(values, part):
            break
        key.append(part)
        values = values[part]
    return tuple(key)


def holds(values: Any, part: str | int) -> bool:
    """Whether values have such a key or place."""
    if isinstance(values, dict):
        return part in values
    return isinstance(values, list) and isinstance(part, int) and part < len(values)


def _expected(fault: Mapping[str, Any]) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    for bound, words in (("ge", "a number ≥ "), ("gt", "a number above "), ("lt", "a number below ")):
        if bound in context:
            return "a finite number" if context[bound] == float("inf") else f"{words}{context[bound]:g}"
    return {
        "bool_type": "true or false",
        "int_type": "a whole number",
        "float_type": "a number",
        "string_type": "a text",
        "dict_type": "a mapping",
        "model_type": "a mapping",
        "list_type": "a list",
        "tuple_type": "a list",
        "literal_error": context.get("expected", ""),
        "finite_number": "a finite number",
        "too_short": "at least one entry",
        "string_too_short": "a text that is not empty",
    }.get(kind) or str(fault["msg"]).removeprefix("Input should be ")


def _shown(value: Any) -> str:
    text = "empty" if value is None else f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


@cache
def _hints(section: type) -> dict[str, Any]:
    """Field → annotation of a declaration or a model."""
    if dataclasses.is_dataclass(section):
        hints = get_type_hints(section, include_extras=True)
        return {each.name: hints[each.name] for each in dataclasses.fields(section)}
    hints = get_type_hints(section, include_extras=True)
    return {name: hints[name] for name in section.model_fields}  # type: ignore[attr-defined]  # pydantic's


def _section_at(hint: Any, key: Key) -> type | None:
    """The declaration or model that describes what stands at `key` of something annotated with `hint`."""
    hint = _bare(hint)
    if isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, BaseModel)):
        fields = _hints(hint)
        if not key:
            return hint
        return _section_at(fields[key[0]], key[1:]) if key[0] in fields else None
    if not key:
        return None
    if get_origin(hint) is dict:
        return _section_at(get_args(hint)[1], key[1:])
    return _section_at(get_args(hint)[0], key[1:]) if get_origin(hint) in (list, tuple) else None


def _bare(hint: Any) -> Any:
    """An annotation without notes and without `| None`."""
    while get_origin(hint) in (Annotated, Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        hint = members[0]
    return hint


def _renamed(root: Any, key: Key, values: Any) -> Iterator[str]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    section = _section_at(root, key)
    if isinstance(values, dict) and section is not None:
        for name, hint in _hints(section).items():
            notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
            for old in (note.name for note in notes if isinstance(note, Was)):
                if old in values and name not in values:
                    values[name] = values.pop(old)
                    yield f"{show((*key, old))} is now called {name}; the old name still works"
    for part, value in list(items):
        yield from _renamed(root, (*key, part), value)
