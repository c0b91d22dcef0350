"""What each objective says of itself, for the command line and the documentation: read from its docstring."""

import inspect
import re
from dataclasses import dataclass, fields

from limbeck.objectives.grammar import classes

SECTIONS = ("Signal", "Shapes", "Usable lists", "Source")


@dataclass(frozen=True)
class Description:
    """`signature` carries the parameters with their defaults; `usable` says which lists count; `source` the paper."""

    name: str
    signature: str
    signal: str
    summary: str
    formula: str
    usable: str
    source: str


def descriptions() -> tuple[Description, ...]:
    """One description per objective, sorted by name."""
    return tuple(_describe(name) for name in classes())


def _describe(name: str) -> Description:
    cls = classes()[name]
    text = inspect.cleandoc(cls.__doc__ or "")
    parts = re.split(rf"^({'|'.join(SECTIONS)}): ", text, flags=re.MULTILINE)
    sections = {key: " ".join(body.split()) for key, body in zip(parts[1::2], parts[2::2], strict=True)}
    defaults = ", ".join(f"{f.name}={f.default}" for f in fields(cls))
    return Description(
        name=name,
        signature=f"{name}({defaults})" if defaults else name,
        signal=cls().signal,
        summary=parts[0].split("\n\n")[0].replace("\n", " "),
        formula="\n".join(line.strip() for line in parts[0].splitlines() if line.startswith("    ")),
        usable=sections["Usable lists"],
        source=sections["Source"],
    )
