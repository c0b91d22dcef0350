"""A YAML text as plain values, with the line on which each of them stands."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

Key = tuple[str | int, ...]
"""Where a value stands: ("recipes", "BCE", 0, "objective")."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a value, and where.

    Attributes:
        line: only where the key alone does not tell.
        absent: nothing is wrong but that a file is still to be put there.
    """

    key: Key
    text: str
    line: int | None = None
    absent: bool = False


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but for numbers such as 1e-5, which are numbers to everyone else."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


@dataclass(frozen=True)
class Document:
    """A YAML text's values; the line of each, from 1; and what was wrong with the YAML itself."""

    values: Any
    lines: dict[Key, int]
    problems: list[Problem]

    def line(self, key: Key) -> int:
        """The line of a value, or of the nearest one around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_yaml(text: str) -> Document:
    """Read one YAML document. Mapping keys are taken as they are written: `no:` is the key "no"."""
    lines: dict[Key, int] = {}
    problems: list[Problem] = []
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        values = None if root is None else _values(loader, root, (), lines, problems, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines[()] = mark.line + 1 if mark else 1
        what = " ".join(part for part in (error.context, error.problem) if part)
        return Document(None, lines, [Problem((), f"cannot be read as YAML: {what}")])
    except (yaml.YAMLError, ValueError) as error:
        return Document(None, lines, [Problem((), f"cannot be read as YAML: {error}")])
    return Document(values, lines, problems)


def show(key: Key) -> str:
    """A key as people write it.

    >>> show(("recipes", "BCE", 0, "objective"))
    'recipes.BCE[0].objective'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def _values(
    loader: _Loader, node: yaml.Node, key: Key, lines: dict[Key, int], problems: list[Problem], inside: tuple[int, ...]
) -> Any:
    lines.setdefault(key, node.start_mark.line + 1)
    if id(node) in inside:
        problems.append(Problem(key, "is an alias of something that it is part of; write the value out"))
        return None
    inside = (*inside, id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_values(loader, item, (*key, i), lines, problems, inside) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        _report_duplicates(node, key, problems)
        loader.flatten_mapping(node)  # type: ignore[no-untyped-call]
        found: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                problems.append(Problem(key, "has a key that is not plain text", name_node.start_mark.line + 1))
                continue
            lines[(*key, name_node.value)] = name_node.start_mark.line + 1
            found[name_node.value] = _values(loader, value_node, (*key, name_node.value), lines, problems, inside)
        return found
    return loader.construct_object(node)  # type: ignore[no-untyped-call]


def _report_duplicates(node: yaml.MappingNode, key: Key, problems: list[Problem]) -> None:
    first: dict[str, int] = {}
    for name_node, _ in node.value:
        if not isinstance(name_node, yaml.ScalarNode) or name_node.tag == "tag:yaml.org,2002:merge":
            continue
        line = name_node.start_mark.line + 1
        if name_node.value in first:
            text = f"is given a second time, the first is on line {first[name_node.value]}; keep one of them"
            problems.append(Problem((*key, name_node.value), text, line))
        first.setdefault(name_node.value, line)
