"""What a published format is: a reader from a place in a file to rows, each of them one list, and an example of it."""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from limbeck.collections import Collection
from limbeck.collections.lines import Position
from limbeck.core.errors import UsageError, nearest
from limbeck.lists.formats.writing import Lost
from limbeck.lists.lists import Lists

_HELPERS = {"format", "parsing", "writing"}
"""Modules of this package that are no format."""


class RawList(NamedTuple):
    """One list as a reader gives it: ids, and for each signal that the file has one number per passage."""

    place: Position
    query_id: str
    passage_ids: list[str]
    labels: list[float] | None = None
    teacher_scores: list[float] | None = None
    teacher_order: list[float] | None = None


@dataclass(frozen=True)
class ExampleQuery:
    """A query and some passages, the best first by a teacher's scores, most of the judged ones above the others."""

    query_id: str
    passages: list[str]
    scores: list[float]
    relevant: frozenset[str]

    @property
    def positive(self) -> tuple[str, float]:
        """The first relevant passage and its score."""
        return next(pair for pair in self.scored if pair[0] in self.relevant)

    @property
    def negatives(self) -> list[tuple[str, float]]:
        """The passages that are not relevant, and their scores."""
        return [pair for pair in self.scored if pair[0] not in self.relevant]

    @property
    def scored(self) -> list[tuple[str, float]]:
        """All passages and their scores."""
        return list(zip(self.passages, self.scores, strict=True))


Example = Callable[[Sequence[ExampleQuery], Collection, frozenset[str], Path], None]


@dataclass(frozen=True)
class Format:
    """A published format.

    Attributes:
        about: what it is and where it comes from, in a line.
        read: (file, place to begin at) → rows. A row's place is where it begins, so that reading again from there gives
            the same row and all that follow. Raises DataError (`path:line: …`) for what is not of the format.
        example: (queries, their collection, signals, file) → the file, written as published ones are, with those
            signals where the format has several shapes; gzipped if its name says so. Rehearsals train on it.
        md5: published file name → its MD5.
        keep: the signals that are kept unless others are asked for; None: all that the file has.
        one_list_a_query: whether a query that comes again is an error.
        is_text: whether ids in the file are the texts themselves, to be looked up in a collection.
        is_pairs: whether every list has two passages, a positive and a negative.
        write: (lists, file, collection) → what the format could not carry, counted. Reading the file again gives the
            lists but for that. UsageError for lists without what the format is made of, or without a collection where
            texts are needed. None: the format is only read.
        writes_texts: whether `write` needs the collection.
        file_name: lists → the name under which a file of this format is published.
    """

    about: str
    read: Callable[[Path, Position], Iterator[RawList]]
    example: Example
    md5: Mapping[str, str] = field(default_factory=dict)
    keep: frozenset[str] | None = None
    one_list_a_query: bool = False
    is_text: bool = False
    is_pairs: bool = False
    write: Callable[[Lists, Path, Collection | None], Lost] | None = None
    writes_texts: bool = False
    file_name: Callable[[Lists], str] | None = None


def format_names() -> list[str]:
    """The names of all formats, sorted."""
    modules = {module.name for module in pkgutil.iter_modules(sys.modules[str(__package__)].__path__)}
    return sorted(name.replace("_", "-") for name in modules - _HELPERS)


def writable_format_names() -> list[str]:
    """The names of the formats that can be written, sorted."""
    return [name for name in format_names() if find_format(name).write]


def find_format(name: str) -> Format:
    """The format of a name. UsageError names the nearest one there is."""
    if name not in format_names():
        known = ", ".join(format_names())
        raise UsageError(f'"{name}" is no format of lists; expected one of {known}{nearest(name, format_names())}')
    found = importlib.import_module(f"{__package__}.{name.replace('-', '_')}").FORMAT
    assert isinstance(found, Format)
    return found
