"""Numbered lines of plain or gzipped UTF-8 text, and the one rule for ids. Every reader of text files starts here."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from limbeck.core.errors import DataError, MissingError

UNFIT_IN_ID = re.compile(r"[\s\ufeff]")


class Position(NamedTuple):
    """Where something stands in a file: its line or row, from 1, and for text the byte at which that line begins."""

    number: int = 1
    offset: int = 0


START = Position()


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without its end) of a text file; see `placed_lines`."""
    for place, line in placed_lines(path):
        yield place.number, line


def placed_lines(path: Path, start: Position = START) -> Iterator[tuple[Position, str]]:
    """(place, line without its end) of a text file from `start` on, gunzipped where the name ends in `.gz`.

    Lines end at `\\n` or `\\r\\n` only, never at the rarer separators of Unicode. A leading byte order mark is dropped.
    Offsets count bytes after gunzipping. Raises MissingError for an absent file, DataError (`path:line: …`) for bytes
    that are not UTF-8 or not gzip.
    """
    number, offset = start.number - 1, start.offset
    try:
        with open_bytes(path) as file:
            if offset:
                file.seek(offset)
            for number, raw in enumerate(file, start.number):
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield Position(number, offset), line.rstrip("\r\n")
                offset += len(raw)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: not UTF-8 text ({error.reason}); convert the file to UTF-8") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}:{number + 1}: broken gzip data ({error}); fetch or write the file anew") from None


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, gunzipped where the name ends in `.gz`."""
    try:
        return cast(BinaryIO, gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb"))
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise MissingError(f"{path}: is a folder, not a file") from None
    except PermissionError:
        raise MissingError(f"{path}: may not be read by this user; change its permissions") from None


def id_fault(text: str) -> str | None:
    """What makes `text` no id, or None. Ids stand in whitespace-separated files, so they can hold no whitespace."""
    if not text:
        return "the id is empty"
    if UNFIT_IN_ID.search(text):
        return f"the id {text!r} holds whitespace, which run and judgment files cannot carry"
    return None


def is_encodable(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON can smuggle in lone halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
