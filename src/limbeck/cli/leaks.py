"""The verb that searches training lists for what test collections ask and answer."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli.output import CollectionName, Json, errors, load, one_line, output_file, print_json, print_table
from limbeck.core.errors import UsageError, plural

if TYPE_CHECKING:
    from limbeck.lists import LeakCounts, LeakExample


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
    lines = [f"\n{test} {kind}, {alike}", f"  lists  {example.id}: {one_line(example.text)}"]
    return "\n".join([*lines, f"  test   {example.of}: {one_line(example.of_text)}"])
