"""A YAML text as plain values, with the line on which each of them stands: bounded whatever the text holds."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

Key = tuple[str | int, ...]
"""Where a value stands: ("recipes", "BCE", 0, "objective")."""

LONGEST = 1_000_000
"""Characters of a text; a study file has some thousands."""
DEEPEST = 60
"""Mappings and lists within one another."""
MOST = 100_000
"""Values once every alias is written out: nine lines of aliases can stand for 387 million."""
DIGITS = 30


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
    """Read one YAML document of plain values.

    Numbers and words are those of YAML 1.1 but for what surprises: 1e-5 is a number, and dates, clock times and numbers
    in base 8, 16 or 60 are texts. Mapping keys are taken as they are written: `no:` is the key "no". Tags such as
    `!!python/object` are refused. Nothing raises: `problems` say what is wrong, each with its line.
    """
    if len(text) > LONGEST:
        return _unreadable(f"it has {len(text):,} characters; expected at most {LONGEST:,}", 1)
    try:
        root = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        return _unreadable(what, mark.line + 1 if mark else 1)
    except yaml.reader.ReaderError as error:
        what = f"it holds the character U+{error.character:04X}; remove it, or write it as an escape"
        return _unreadable(what, text.count("\n", 0, error.position) + 1)
    values = _Values()
    found = None if root is None else values.of(root, ())
    if values.count > MOST:
        text = f"its aliases stand for more than {MOST:,} values; write out what is meant"
        return _unreadable(text, values.last_line)
    return Document(found, values.lines, values.problems)


def show(key: Key) -> str:
    """A key as people write it.

    >>> show(("recipes", "BCE", 0, "objective"))
    'recipes.BCE[0].objective'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def _unreadable(what: str, line: int) -> Document:
    return Document(None, {(): line}, [Problem((), f"cannot be read as YAML: {what}")])


class _Loader(yaml.SafeLoader):
    """Composes nodes, none too deep and none with a tag of its own; what scalars mean is read from their text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 as PyYAML declares it
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # so its stubs say
        if getattr(event, "tag", None) is not None:
            text = f"the tag {event.tag.replace('tag:yaml.org,2002:', '!!')} is not taken; expected a plain value"
            raise yaml.composer.ComposerError(None, None, text, event.start_mark)
        if self.depth >= DEEPEST:
            text = f"more than {DEEPEST} lists and mappings stand within one another"
            raise yaml.composer.ComposerError(None, None, text, event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.add_implicit_resolver("null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("true", re.compile(r"(?:yes|Yes|YES|true|True|TRUE|on|On|ON)$"), list("yYtToO"))
_Loader.add_implicit_resolver("false", re.compile(r"(?:no|No|NO|false|False|FALSE|off|Off|OFF)$"), list("nNfFoO"))
_Loader.add_implicit_resolver("int", re.compile(r"[-+]?[0-9][0-9_]*$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "float",
    re.compile(
        r"(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver("merge", re.compile(r"<<$"), ["<"])


class _Values:
    """From nodes to values, in which each alias is a copy."""

    def __init__(self) -> None:
        self.lines: dict[Key, int] = {}
        self.problems: list[Problem] = []
        self.count = 0
        self.last_line = 1
        self._inside: list[int] = []
        self._open: set[int] = set()
        self._members: dict[int, dict[str, tuple[yaml.Node, yaml.Node]]] = {}

    def of(self, node: yaml.Node, key: Key) -> Any:
        self.count += 1
        if self.count > MOST:
            return None
        self.last_line = node.start_mark.line + 1
        self.lines.setdefault(key, self.last_line)
        if id(node) in self._inside:
            self.problems.append(Problem(key, "is an alias of something that it is part of; write the value out"))
            return None
        self._inside.append(id(node))
        value = self._of(node, key)
        self._inside.pop()
        return value

    def _of(self, node: yaml.Node, key: Key) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self.of(item, (*key, number)) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for name, (name_node, value_node) in self._pairs(node, key).items():
                self.lines[(*key, name)] = name_node.start_mark.line + 1
                found[name] = self.of(value_node, (*key, name))
            return found
        return self._scalar(node, key)

    def _pairs(self, node: yaml.MappingNode, key: Key) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Name → (its node, its value's): those merged in by `<<` first, which the mapping's own take the place of."""
        if id(node) in self._members:
            return self._members[id(node)]
        self._open.add(id(node))
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line + 1
            if not isinstance(name_node, yaml.ScalarNode):
                self.problems.append(Problem(key, "has a key that is not plain text", line))
            elif name_node.tag == "merge":
                parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for part in parts:
                    if id(part) in self._open:
                        self.problems.append(Problem(key, "merges itself; write the values out", line))
                    elif isinstance(part, yaml.MappingNode):
                        merged = {**self._pairs(part, key), **merged}
                    else:
                        text = "merges what is no mapping; expected `<<: *NAME`, the name of one"
                        self.problems.append(Problem(key, text, line))
            else:
                if name_node.value in own:
                    first = own[name_node.value][0].start_mark.line + 1
                    text = f"is given a second time, the first is on line {first}; keep one of them"
                    self.problems.append(Problem((*key, name_node.value), text, line))
                own[name_node.value] = (name_node, value_node)
        self._open.remove(id(node))
        self._members[id(node)] = {**merged, **own}
        return self._members[id(node)]

    def _scalar(self, node: yaml.Node, key: Key) -> Any:
        text = str(node.value)
        if node.tag == "null":
            return None
        if node.tag in ("true", "false"):
            return node.tag == "true"
        if node.tag == "int":
            if len(text) > DIGITS:
                self.problems.append(Problem(key, f"is a number of {len(text):,} digits; expected at most {DIGITS}"))
                return 0
            return int(text.replace("_", "").rstrip("_"))
        if node.tag == "float":
            return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text
