"""What verbs share: options, and how they print; results on standard output, progress and errors on standard error."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.core.errors import plural, printable
from limbeck.core.files import check_output, plain
from limbeck.core.options import Doc, Precision
from limbeck.core.progress import say as say_on

if TYPE_CHECKING:
    from rich.console import Console

    from limbeck.lists import Lists

FIRST_COLUMN = 36
"""Characters of a table's first column that have room on the narrowest terminal."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
COLLECTION_HELP = (
    "Folder in BEIR's layout or FOLDER/SPLIT, ir_datasets id, or demo/{train,valid,test}; @1/5 keeps a fold."
)
CollectionName = Annotated[str, typer.Option("--collection", help=COLLECTION_HELP)]


def output_file(text: str) -> Any:
    """An option that names a file to write, refused before any work where none can be written."""
    return typer.Option(help=text, callback=_check_file)


def output_folder(text: str) -> Any:
    """The same for a folder."""
    return typer.Option(help=text, callback=_check_folder)


def _check_file(value: Path | None) -> Path | None:
    if value is not None:
        check_output(value)
    return value


def _check_folder(value: Path | None) -> Path | None:
    if value is not None:
        check_output(value, folder=True)
    return value


ListsOutput = Annotated[Path, output_file("Lists to write (Parquet).")]
CandidatesRun = Annotated[Path, typer.Option("--run", help="Run file with the candidates.")]
CandidatesDepth = Annotated[int | None, typer.Option(min=1, help="Candidates per query; default: all.")]
RunOutput = Annotated[Path, output_file("TREC run to write; .gz compresses it.")]
MatrixPrecision = Annotated[Precision, typer.Option("--precision", help="Number format of matrix products.")]
CorpusNegatives = Annotated[
    int,
    typer.Option(
        min=0, help="Easy negatives to draw for each query from the whole collection, beside judged passages."
    ),
]
PARTLY_DONE = 7
"""The exit code of a verb that leaves something undone."""


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Where a verb whose cross-encoders' scores are kept keeps them."""

    scores: Annotated[Path | None, Doc("Folder of the kept scores; default: OUTPUT with .scores.")] = None


def errors() -> "Console":
    """The console on standard error."""
    from rich.console import Console

    return Console(stderr=True)


def console() -> "Console":
    """The console on standard output."""
    from rich.console import Console

    return Console()


def print_json(value: Any) -> None:
    """Print one JSON object on standard output; dataclasses are objects too."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=plain)
    # What this output cannot carry as it is stands as JSON's own escapes.
    if (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8" or printable(text) != text:
        text = json.dumps(value, indent=1, allow_nan=False, default=plain)
    typer.echo(text)


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str | None = None, title: str | None = None
) -> None:
    """Print a table on standard output; columns after the first are right-aligned.

    The first column wraps where the terminal is narrow. The others are never cut: where they do not fit, lines are
    longer than the terminal.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, title=title and Text(printable(title)), title_justify="left", title_style="bold",
        caption=caption and Text(printable(caption)), caption_justify="left", pad_edge=False,
    )  # fmt: skip
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=number > 0)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    widths = [max(map(cell_len, column)) for column in zip(columns, *rows, strict=True)]
    screen = console()
    screen.width = max(screen.width, min(widths[0], FIRST_COLUMN) + sum(widths[1:]) + 3 * len(widths))
    screen.print(table)


def print_description(lists: "Lists", path: Path, as_json: bool) -> None:
    """Print where lists are and what they hold."""
    from limbeck.lists import describe

    facts = describe(lists)
    if as_json:
        print_json({"path": str(path), **facts})
        return
    lengths, positive, metadata = facts["passages_per_list"], facts["with_positive"], facts["metadata"]
    added = int(metadata.get("positives_added", 0))
    typer.echo(f"{path}: {plural(facts['lists'], 'list')} of {plural(facts['queries'], 'query')}")
    typer.echo(
        f"  passages per list: {lengths['min']} to {lengths['max']}, median {lengths['median']:g}"
        + (f"; {added} judged positives were added to the candidates" if added else "")
    )
    if positive is not None:
        typer.echo(f"  lists with a positive: {positive:.1%}")
    for name, values in facts["signals"].items():
        typer.echo(f"  {name}: {values['min']:g} to {values['max']:g}, mean {values['mean']:.4g}")
    print_metadata(metadata)


def print_metadata(metadata: Mapping[str, str]) -> None:
    """Where lists come from, and what was left out or added; what was not, is not told."""
    for key, value in metadata.items():
        if value != "0":
            typer.echo(f"  {key}: {value}")


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Path → the shortest end of it that tells it from the others."""
    parts = {path: path.split("/") for path in paths}

    def end(path: str, length: int) -> str:
        return "/".join(parts[path][-length:])

    def is_unique(path: str, length: int) -> bool:
        return all(other == path or end(other, length) != end(path, length) for other in parts)

    return {
        path: end(path, next((n for n in range(1, len(words) + 1) if is_unique(path, n)), len(words)))
        for path, words in parts.items()
    }


def say(text: str) -> None:
    """Print a text on standard output."""
    typer.echo(printable(text))


def warn(warnings: Iterable[str]) -> None:
    """Print warnings on standard error."""
    for warning in warnings:
        tell(f"warning: {warning}", "yellow")


def tell(text: str, style: str | None = None) -> None:
    """Print a text on standard error, in a colour where that is a terminal."""
    say_on(errors(), printable(text), style)


def load(name: str) -> Any:
    """Load a collection and print its warnings."""
    from limbeck.collections import load_collection

    collection = load_collection(name)
    warn(collection.warnings)
    return collection
