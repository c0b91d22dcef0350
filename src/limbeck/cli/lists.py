"""Verbs on training lists: show, convert, mix, export, leaks; `mine` has a file of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli import mine
from limbeck.cli.output import (
    CorpusNegatives,
    Json,
    ListsOutput,
    errors,
    load,
    print_description,
    print_json,
    print_metadata,
    warn,
)
from limbeck.core.errors import UsageError, one_line, plural

if TYPE_CHECKING:
    from limbeck.collections import Collection
    from limbeck.lists import LeakCounts, LeakExample, Lists, TrainingList


from functools import partial
from typing import TYPE_CHECKING, Any

from limbeck.cli.output import CollectionName, output_file, print_table

SHOWN = 160  # characters of a text


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
    rows: Annotated[int, typer.Option(min=0, help="Number of lists to print.")] = 2,
    passages: Annotated[int, typer.Option(min=1, help="Passages to print of each list: relevant ones first.")] = 5,
    collection: Annotated[
        str | None, typer.Option(help="Texts; default: the collection that the lists name, if it is a folder or demo.")
    ] = None,
    json: Json = False,
) -> None:
    """Print what lists hold, and a sample of them: queries, passages and their signals."""
    from limbeck.lists import read_lists

    found = read_lists(lists)
    print_description(found, lists, json)
    if json or not rows:
        return
    texts = _texts(found, collection)
    for index in range(min(rows, len(found))):
        _print_list(found[index], passages, texts)


def _texts(lists: "Lists", name: str | None) -> "Collection | None":
    """The collection of the lists' texts; None where nobody names one that is at hand."""
    from limbeck.collections import is_local, load_documents

    own = lists.metadata.get("collection", "")
    if name is None and not is_local(own):
        if own:
            typer.echo(f"\nTexts are not fetched unasked; to see them: --collection {own}")
        return None
    found = load_documents(name or own)
    kept = lists.metadata.get("collection_fingerprint")
    if kept and found.name == own and kept != found.fingerprint:
        warn([f"{own} is not as it was when these lists were made; texts may be others"])
    return found


def _print_list(row: "TrainingList", count: int, texts: "Collection | None") -> None:
    """A list's query and `count` of its passages: its relevant ones first, then the first of the others."""
    relevant = [place for place in range(len(row)) if row.labels is not None and row.labels[place] > 0]
    others = [place for place in range(len(row)) if place not in set(relevant)]
    shown = sorted([*relevant, *others][: max(count, 1)])
    typer.echo(f"\n{row.query_id}: {plural(len(row), 'passage')}")
    if texts:
        typer.echo(f"  query: {one_line(texts.queries.get(row.query_id, '(not in the collection)'), SHOWN)}")
    for place in shown:
        signals = [
            f"{name} {values[place]:g}"
            for name, values in (
                ("label", row.labels), ("score", row.teacher_scores), ("order", row.teacher_order),
            )
            if values is not None and (name != "label" or values[place] > 0)
        ]  # fmt: skip
        typer.echo(f"  {place + 1}. {row.passage_ids[place]}  {', '.join(signals)}".rstrip())
        if texts:
            typer.echo(
                f"     {one_line(texts.documents.get(row.passage_ids[place], '(not in the collection)'), SHOWN)}"
            )
    if left := len(row) - len(shown):
        hidden = sum(place not in shown for place in relevant)
        said = "" if row.labels is None else f", {hidden or 'none'} of them relevant"
        typer.echo(f"  and {left} more{said}")


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="File to read.")],
    output: ListsOutput,
    format: Annotated[
        str, typer.Option(help="Format of the file: run, triples, hofstaetter, …; any other name lists all of them.")
    ],
    collection: Annotated[
        str | None,
        typer.Option(
            help="Collection to keep to: the queries of its split, and passages that it has; texts get its ids."
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="For a file that holds texts: folder to write them into, which is then the collection."),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Take labels from the collection's judgments.")] = False,
    corpus_negatives: CorpusNegatives = 0,
    signal: Annotated[
        list[str] | None, typer.Option(help="Keep labels, teacher_scores or teacher_order only; once for each.")
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Passages per list; default: all.")] = None,
    checksum: Annotated[
        str | None, typer.Option(help="MD5 or SHA-256 of the file, for one without a known one.")
    ] = None,
    json: Json = False,
) -> None:
    """Make lists from a published file: triples, scored triples, runs of teachers, hard negatives.

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
    typer.echo(f"{output}: {plural(facts['lists'], 'list')}, {plural(facts['passages'], 'passage')}")
    for name, values in facts["signals"].items():
        typer.echo(f"  {name}: {values['min']:g} to {values['max']:g}")
    print_metadata(facts["metadata"])


def mix(
    lists: Annotated[list[Path], typer.Argument(metavar="LISTS...", help="Lists (Parquet), of whatever sources.")],
    output: ListsOutput,
    json: Json = False,
) -> None:
    """Put lists of several sources into one file, for one stage to draw from: mined, taught and published ones.

    A query may have lists of several. Signals that not all of them have are left out, and named in the metadata. In
    training, a file's share of the steps is its share of the lists.
    """
    from limbeck.lists import mix as mix_lists
    from limbeck.lists import read_lists, write_lists

    if twice := [str(path) for number, path in enumerate(lists) if path in lists[:number]]:
        raise UsageError(f"{twice[0]}: is given twice, and would be taken once; expected each file once")
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
    typer.echo(f"{exported.path}: {plural(len(found), 'list')} as {format}")
    for what, count in exported.lost.items():
        typer.echo(f"  not carried: {what} ({count:,})")


def leaks(
    lists: Annotated[Path, typer.Argument(help="Lists (Parquet).")],
    collection: CollectionName,
    against: Annotated[
        list[str], typer.Option(help="Test collection or suite that the lists should know nothing of; once for each.")
    ],
    output: Annotated[
        Path | None, output_file("Write the lists without the leaking queries, near ones included (Parquet).")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="Examples to show of each kind.")] = 5,
    encoder: Annotated[
        str | None,
        typer.Option(help="Bi-encoder: also count test texts that are close in meaning only; none is left out for it."),
    ] = None,
    cosine: Annotated[
        float | None, typer.Option(min=0, max=1, help="The least that counts as close, with --encoder; default: 0.9.")
    ] = None,
    json: Json = False,
) -> None:
    """Search lists for queries and relevant documents of test collections: the same words, and near-duplicates.

    Case, punctuation and whitespace are ignored. Near: 60 % or more of the character 3-grams of both are
    shared (found by MinHash, then measured). Documents: the lists' positives against those judged relevant in the test.
    """
    from limbeck.collections import expand_suites
    from limbeck.lists import (
        close_in_meaning,
        distinct_queries,
        document_leaks,
        positives,
        query_leaks,
        read_lists,
        without_queries,
        write_lists,
    )
    from limbeck.teachers import BiEncoder, keeping_embeddings

    if cosine is not None and not encoder:
        raise UsageError("--cosine is that of an encoder's embeddings; name one with --encoder, or leave it out")
    embed = keeping_embeddings(BiEncoder.load(encoder), errors()) if encoder else None
    found, texts = read_lists(lists), load(collection)
    queries, passages = distinct_queries(found), positives(found)
    tests = [load(name) for name in expand_suites(against)]
    of_queries = query_leaks(queries, texts.queries, tests)
    of_documents = document_leaks(passages, texts.documents, tests)
    leaking = {query_id for overlap in of_queries for query_id in overlap.leaking}
    searches: list[dict[str, Any]] = [
        {"against": test.name, "queries": one.counts(examples), "documents": other.counts(examples)}
        for test, one, other in zip(tests, of_queries, of_documents, strict=True)
    ]
    if embed:
        close = [
            close_in_meaning(overlaps, partial(embed, kind), 0.9 if cosine is None else cosine, examples)
            for kind, overlaps in (("query", of_queries), ("document", of_documents))
        ]
        for search, one_close, other_close in zip(searches, *close, strict=True):
            search["close"] = {"model": encoder, "queries": one_close, "documents": other_close}
    written: dict[str, Any] | None = None
    if output:
        clean = without_queries(found, leaking)
        write_lists(clean, output)
        written = {"path": str(output), "lists": len(clean), "left_out": len(found) - len(clean)}
    if json:
        facts = {"lists": len(found), "queries": len(queries), "leaking_queries": len(leaking)}
        print_json({"path": str(lists), **facts, "searches": searches, "output": written})
        return
    _print_searches(searches)
    if written:
        typer.echo(
            f"{written['path']}: {plural(written['lists'], 'list')}; {plural(written['left_out'], 'list')} of "
            f"{len(leaking):,} leaking queries left out"
        )


def _print_searches(searches: list[dict[str, Any]]) -> None:
    """Counts of all searches in a table, then the examples of each."""
    rows = []
    header = ["test", "of it", "the same", "nearly", "share", "searched"]
    for search in searches:
        for kind, noun in (("queries", "queries"), ("documents", "relevant documents")):
            found: LeakCounts = search[kind]
            counts = [f"{count:,}" for count in (found.against, found.exact, found.near)]
            close = [f"{search['close'][kind].close:,}"] if "close" in search else []
            rows.append((f"{search['against']} {noun}", *counts, f"{found.share:.1%}", f"{found.searched:,}", *close))
    print_table([*header, "close only"] if any("close" in search for search in searches) else header, rows)
    for search in searches:
        for kind in ("queries", "documents"):
            for example in search[kind].examples:
                alike = "the same" if example.same else f"{example.likeness:.2f}"
                typer.echo(_shown(search["against"], kind, alike, example))
            for example in search["close"][kind].examples if "close" in search else ():
                alike = f"close in meaning only, cosine {example.likeness:.2f}"
                typer.echo(_shown(search["against"], kind, alike, example))
            if lacking := search[kind].without_text:
                typer.echo(f"{search['against']}: {kind} without text, which could not be searched for: {lacking:,}")


def _shown(test: str, kind: str, alike: str, example: "LeakExample") -> str:
    lines = [f"\n{test} {kind}, {alike}", f"  lists  {example.id}: {one_line(example.text, SHOWN)}"]
    return "\n".join([*lines, f"  test   {example.of}: {one_line(example.of_text, SHOWN)}"])
