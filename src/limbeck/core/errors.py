"""Errors that a user can mend, and the wording of what users read.

Text that others have made is made safe for where it is shown: a terminal, a page, a notebook, a spreadsheet.
"""

import importlib
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from html import escape
from typing import Any


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


def from_extra(module: str, extra: str, purpose: str) -> Any:
    """A module that `pip install limbeck` leaves out. MissingError names the extra, and what it is needed for."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingError(f"{purpose} needs the package {module}: pip install 'limbeck[{extra}]'") from None


_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and line feed, marks that turn the direction of reading, halves of surrogate pairs."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")


def printable(text: str) -> str:
    r"""The text with control characters written out, so that a name cannot move the cursor or retitle a terminal.

    >>> printable("run\x1b[2J")
    'run\\x1b[2J'
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str, most: int | None = None) -> str:
    r"""The text on one line, of at most so many characters: control characters and runs of blanks are one blank.

    >>> one_line("two\nlines \x1b[2J"), one_line("a longer text", 8)
    ('two lines [2J', 'a longe…')
    """
    # Of a text far too long, no more is looked at than may be needed.
    line = " ".join(_UNSEEN.sub(" ", text[: most and 4 * most]).split())
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def csv_cell(value: object) -> object:
    """A value for a CSV file that spreadsheets open: a text that would be a formula gets an apostrophe before it.

    >>> csv_cell("=HYPERLINK(1)"), csv_cell("-0.5"), csv_cell(-0.5), csv_cell("bm25")
    ("'=HYPERLINK(1)", '-0.5', -0.5, 'bm25')
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def plural(amount: int, noun: str) -> str:
    """So many of what a noun names.

    >>> plural(1, "query"), plural(2, "query"), plural(2, "cell"), plural(2, "process")
    ('1 query', '2 queries', '2 cells', '2 processes')
    """
    if amount != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{amount:,} {noun}"


def enumerate_words(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> enumerate_words(["a"]), enumerate_words(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A plain table, every text escaped."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
