"""Sentences about what is wrong in a study file."""

from collections.abc import Callable, Iterable, Iterator

from limbeck.errors import LimbeckError, nearest
from limbeck.study.yaml_file import Key, Problem


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
