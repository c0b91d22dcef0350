"""Verbs on training lists: show, convert, mix, export; `mine` and `leaks` have files of their own."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli import mine
from limbeck.cli.leaks import leaks
from limbeck.cli.making import CorpusNegatives, Output, print_description
from limbeck.cli.output import Json, errors, load, print_json
from limbeck.errors import UsageError


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    verbs = typer.Typer(help="Training lists: a query, its passages and their signals.", no_args_is_help=True)
    verbs.command("show")(show)
    verbs.command("mine")(mine.mine)
    verbs.command("convert")(convert)
    verbs.command("mix")(mix)
    verbs.command("export")(export)
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
    corpus_negatives: CorpusNegatives = 0,
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
    conversion = Conversion(format, depth, wanted, labels, checksum=checksum, corpus_negatives=corpus_negatives)
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


def mix(
    lists: Annotated[list[Path], typer.Argument(metavar="LISTS...", help="Lists (Parquet), of whatever sources.")],
    output: Output,
    json: Json = False,
) -> None:
    """Put lists of several sources into one file, for one stage to draw from: mined, taught and published ones.

    A query may have lists of several. Signals that not all of them have are left out, and named in the metadata. In
    training, a file's share of the steps is its share of the lists.
    """
    from limbeck.lists import mix as mix_lists
    from limbeck.lists import read_lists, write_lists

    mixed = mix_lists({str(path): read_lists(path) for path in lists})
    write_lists(mixed, output)
    print_description(mixed, output, json)


def export(
    lists: Annotated[Path, typer.Argument(help="Lists (Parquet).")],
    format: Annotated[
        str,
        typer.Option(help="hofstaetter, rank-distillm, rank-llm, run, sbert-hard-negatives or sentence-transformers."),
    ],
    output: Annotated[
        str, typer.Option(help="File to write; of rank-distillm also a folder/, where it gets its name.")
    ],
    collection: Annotated[
        str | None, typer.Option(help="Texts, for rank-llm; default: the collection that the lists name.")
    ] = None,
    signal: Annotated[
        list[str] | None, typer.Option(help="Write labels, teacher_scores or teacher_order only; once for each.")
    ] = None,
    json: Json = False,
) -> None:
    """Write lists in a published format, for other tools; what it cannot carry is counted.

    `lists convert` with the same format reads the file back.
    """
    from limbeck.lists import export as export_lists
    from limbeck.lists import find_format, read_lists

    found = read_lists(lists)
    name = collection or (found.metadata.get("collection") if find_format(format).writes_texts else None)
    wanted = frozenset(signal) if signal else None
    exported = export_lists(found, format, output, load(name) if name else None, wanted)
    if json:
        print_json({"path": str(exported.path), "format": format, "lists": len(found), "lost": dict(exported.lost)})
        return
    typer.echo(f"{exported.path}: {len(found):,} lists as {format}")
    for what, count in exported.lost.items():
        typer.echo(f"  not carried: {what} ({count:,})")
