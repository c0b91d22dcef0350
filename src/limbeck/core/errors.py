"""Errors that a user can mend. The CLI prints their text, never a traceback, and exits with their code."""

from collections.abc import Iterable
from difflib import get_close_matches


class LimbeckError(Exception):
    """Base of all errors that name what was wrong, where, what was expected and how to mend it."""

    exit_code = 5


class UsageError(LimbeckError):
    """A wrong argument, option, name or grammar."""

    exit_code = 2


class MissingError(LimbeckError):
    """A file, model, package or dataset that is not there. The text says how to get it."""

    exit_code = 3


class DataError(LimbeckError):
    """Content that cannot be read as its format promises. The text begins with `file:line:` where there is one."""

    exit_code = 5


def nearest(name: str, choices: Iterable[str]) -> str:
    """`; did you mean "x"?` for the choice most like `name`, or nothing when none is alike."""
    by_lower = {choice.lower(): choice for choice in choices}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f'; did you mean "{by_lower[close[0]]}"?' if close else ""
