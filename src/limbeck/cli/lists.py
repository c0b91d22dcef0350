"""Verbs on training lists: show, mine, convert, leaks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.leaks import leaks
from limbeck.cli.output import CollectionName, Json, errors, load, print_json
from limbeck.errors import UsageError

if TYPE_CHECKING:
    from limbeck.lists import Lists

Output = Annotated[Path, typer.Option(help="Lists to write (Parquet).")]
Candidates = Annotated[Path, typer.Option("--run", help="Run file.")]
Depth = Annotated[int | None, typer.Option(min=1, help="Candidates per query; default all.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    verbs = typer.Typer(help="Training lists: a query, its passages and their signals.", no_args_is_help=True)
    verbs.command("show")(show)
    verbs.command("mine")(mine)
    verbs.command("convert")(convert)
    verbs.command("leaks")(leaks)
    app.add_typer(verbs, name="lists")


def show(
    lists: Annotated[Path, typer.Argument(help="Lists (Parquet).")],
    rows: Annotated[int, typer.Option(min=0, help="How many lists to print.")] = 2,
    json: Json = False,
) -> None:
    """Print what lists hold, and the first few of them."""
    from limbeck.lists import SIGNALS, read_lists

    found = read_lists(lists)
    print_description(found, lists, json)
    if json:
        return
    for index in range(min(rows, len(found))):
        row = found[index]
        typer.echo(f"\n{row.query_id}: {len(row)} passages")
        for position, passage_id in enumerate(row.passage_ids[:10]):
            signals = [f"{name} {values[position]:g}" for name in SIGNALS if (values := getattr(row, name)) is not None]
            typer.echo(f"  {passage_id}  {', '.join(signals)}")


def mine(collection: CollectionName, run: Candidates, output: Output, depth: Depth = None, json: Json = False) -> None:
    """Make lists with labels: a run's candidates, graded by the collection's judgments; unjudged ones are negatives."""
    from limbeck.lists import lists_from_run, write_lists
    from limbeck.runs import read_run

    lists = lists_from_run(load(collection), read_run(run), depth, labels=True, order=False)
    write_lists(lists, output)
    print_description(lists, output, json)


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File to read.")],
    output: Output,
    format: Annotated[str, typer.Option(help="Its format: run, triples, hofstaetter, …; another name lists them all.")],
    collection: Annotated[
        str | None,
        typer.Option(help="Keep its split's queries, and passages with a text; texts get their ids from it."),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="Of a file of texts: write them into this folder, and take it as the collection."),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Take labels from the collection's judgments.")] = False,
    signal: Annotated[
        list[str] | None, typer.Option(help="Keep labels, teacher_scores or teacher_order only; once for each.")
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Passages per list; default all.")] = None,
    checksum: Annotated[
        str | None, typer.Option(help="MD5 or SHA-256 of the file, for one without a known one.")
    ] = None,
    json: Json = False,
) -> None:
    """Make lists of a published file: triples, scored triples, runs of teachers, hard negatives.

    Large files are streamed; interrupted, the same command goes on. Of runs only the order is kept by default.
    """
    from limbeck.lists import Conversion, describe_file, write_own_texts
    from limbeck.lists import convert as convert_file

    wanted = frozenset(signal) if signal else None
    conversion = Conversion(format, depth, wanted, labels, checksum=checksum)
    if texts and collection:
        raise UsageError("--texts and --collection are both given; expected one place for the texts")
    if texts:
        write_own_texts(source, format, texts)
        collection = str(texts)
    convert_file(source, output, conversion, load(collection) if collection else None, errors())
    facts = describe_file(output)
    if json:
        print_json({"path": str(output), **facts})
        return
    typer.echo(f"{output}: {facts['lists']:,} lists, {facts['passages']:,} passages")
    for name, values in facts["signals"].items():
        typer.echo(f"  {name}: {values['min']:g} to {values['max']:g}")
    for key, value in facts["metadata"].items():
        typer.echo(f"  {key}: {value}")


def print_description(lists: "Lists", path: Path, as_json: bool) -> None:
    """Print where lists are and what they hold."""
    from limbeck.lists import describe

    facts = describe(lists)
    if as_json:
        print_json({"path": str(path), **facts})
        return
    lengths, positive = facts["passages_per_list"], facts["with_positive"]
    typer.echo(f"{path}: {facts['lists']} lists of {facts['queries']} queries")
    typer.echo(f"  passages per list: {lengths['min']} to {lengths['max']}, median {lengths['median']:g}")
    if positive is not None:
        typer.echo(f"  lists with a positive: {positive:.1%}")
    for name, values in facts["signals"].items():
        typer.echo(f"  {name}: {values['min']:g} to {values['max']:g}, mean {values['mean']:.4g}")
    for key, value in facts["metadata"].items():
        typer.echo(f"  {key}: {value}")
