"""What is evaluated on a command line: judgments, and systems of a run file, of several seeds or collections."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from limbeck.cli.output import COLLECTION_HELP, load, short_names, warn
from limbeck.core.errors import MissingError, UsageError, plural

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.evaluation import Evaluation

PLACE = "{}"
OptionalCollection = Annotated[str | None, typer.Option("--collection", help=COLLECTION_HELP)]
Qrels = Annotated[
    Path | None, typer.Option(help="Judgments alone, instead of a collection: a TREC or tab-separated qrels file.")
]
Relevance = Annotated[
    int | None,
    typer.Option(
        min=1, help="Minimum grade that counts as relevant in binary measures; default: the collection's, or 1."
    ),
]
OwnDocument = Annotated[
    Literal["remove", "keep"] | None,
    typer.Option(help="The document whose id is the query's own (ArguAna, Quora); default: as the collection says."),
]


def load_judged(
    collection: str | None,
    qrels: Path | None,
    relevance: int | None = None,
    own_document: Literal["remove", "keep"] | None = None,
) -> "Collection":
    """What runs are evaluated on: a collection, or a qrels file alone. UsageError unless it is one of the two."""
    from limbeck.collections import load_qrels

    if (collection is None) == (qrels is None):
        given = "both are" if collection else "neither is"
        raise UsageError(f"either --collection or --qrels says where the judgments are; {given} given")
    found: Collection = load_qrels(qrels) if qrels else load(str(collection))
    found = found.measured_as(relevance, own_document)
    highest = max((grade for grades in found.qrels.values() for grade in grades.values()), default=0)
    if found.qrels and highest < found.relevance_level:
        warn(
            [
                f"{found.name}: no judgment reaches grade {found.relevance_level}, the highest is {highest}: binary "
                "measures are 0, whatever is ranked. Another --relevance?"
            ]
        )
    return found


def terms(found: "Evaluation") -> str:
    """On what terms values were measured, where that is not plain."""
    parts = []
    if found.binary:
        parts.append(f"{', '.join(found.binary)}: relevant from grade {found.relevance_level} on")
    if found.own_document_removed:
        parts.append("the query's own document removed")
    return "; ".join(parts)


def doubts(path: str, found: "Evaluation") -> Iterator[str]:
    """Why an evaluation may not be what it seems."""
    if 2 * len(found.missing) > found.queries:
        yield (
            f"{path}: ranks only {found.scored:,} of the {found.queries:,} judged queries of {found.collection}; "
            f"the others count as 0. Is the run of another split?"
        )
    if found.float32_ties:
        yield (
            f"{path}: trec_eval would order the candidates of {plural(found.float32_ties, 'query')} otherwise: "
            f"as 32-bit floats, some of their scores tie"
        )


@dataclass(frozen=True)
class System:
    """What is compared: `word` as the user wrote it, `label` to show."""

    word: str
    label: str

    def files(self, place: str) -> list[Path]:
        """The run files on a collection, one per seed. MissingError for an absent one whose name was a template."""
        files = [Path(word.replace(PLACE, place)) for word in seeds(self.word)]
        if PLACE in self.word and (absent := next((file for file in files if not file.is_file()), None)):
            raise MissingError(f"{absent}: no such file; {PLACE} in {self.word} stands for the collection, {place}")
        return files


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
