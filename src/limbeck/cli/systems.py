"""Systems on a command line: one run file, several seeds of it, one of each for every collection."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limbeck.cli.output import short_names
from limbeck.core.errors import UsageError

PLACE = "{}"


@dataclass(frozen=True)
class System:
    """What is compared: `word` as the user wrote it, `label` to show."""

    word: str
    label: str

    def files(self, place: str) -> list[Path]:
        """The run files on a collection, one per seed."""
        return [Path(word.replace(PLACE, place)) for word in seeds(self.word)]


def seeds(word: str) -> list[str]:
    """The parts of `A.run,B.run`; a file whose name has a comma is one."""
    return [word] if os.path.exists(word) else [part for part in word.split(",") if part]


def name_systems(words: Sequence[str], several: bool) -> list[System]:
    """The systems of these words, labelled by what tells them apart.

    Raises:
        UsageError: fewer than two, one or a seed given twice, or without a place for the name of `several` collections.
    """
    if len(words) < 2:
        raise UsageError("compare needs at least two runs: the baseline first, then the others")
    for word in words:
        if words.count(word) > 1 or len(set(seeds(word))) < len(seeds(word)):
            raise UsageError(f"{word} is given twice, or names a seed twice; a run cannot be compared with itself")
        if several and not all(PLACE in part for part in seeds(word)):
            raise UsageError(
                f"{word} is one file for several collections; write {PLACE} where the collection's name stands in it, "
                f"as in '{PLACE}/runs/bm25.run'"
            )
    return [System(word, label) for word, label in zip(words, _labels(words), strict=True)]


def _labels(words: Sequence[str]) -> list[str]:
    """The shortest ends of paths that tell the words apart, without file endings where that is enough."""
    first = {word: seeds(word)[0] for word in words}
    short = short_names(list(first.values()))
    labels = [_without_ending(short[first[word]]) for word in words]
    if len(set(labels)) < len(labels):
        labels = [short[first[word]] for word in words]
    more = [len(seeds(word)) - 1 for word in words]
    return [f"{label} (+{n} seeds)" if n else label for label, n in zip(labels, more, strict=True)]


def _without_ending(name: str) -> str:
    stem = name.removesuffix(".gz").removesuffix(".run").removesuffix(".trec")
    return stem or name
