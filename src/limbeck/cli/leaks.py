"""The verb that searches training lists for a test's queries and documents."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli.output import CollectionName, Json, load, print_json, print_table


def leaks(
    lists: Annotated[Path, typer.Argument(help="Lists (Parquet).")],
    collection: CollectionName,
    against: Annotated[
        list[str], typer.Option(help="Test collection or suite that the lists should know nothing of; once for each.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Write the lists without the leaking queries, near ones included (Parquet).")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many of each kind to show.")] = 5,
    json: Json = False,
) -> None:
    """Search lists for queries and relevant documents of test collections: the same words, and near-duplicates.

    Case, punctuation and blanks do not count. Near: 60 % or more of the character 3-grams of both are
    shared (found by MinHash, then measured). Documents: the lists' positives against those judged relevant in the test.
    """
    from limbeck.collections import expand_suites
    from limbeck.lists import (
        distinct_queries,
        document_leaks,
        positives,
        query_leaks,
        read_lists,
        without_queries,
        write_lists,
    )

    found, texts = read_lists(lists), load(collection)
    queries, passages = distinct_queries(found), positives(found)
    tests = [load(name) for name in expand_suites(against)]
    of_queries = query_leaks(queries, texts.queries, tests)
    of_documents = document_leaks(passages, texts.documents, tests)
    leaking = {query_id for overlap in of_queries for query_id in overlap.leaking}
    searches = [
        {"against": test.name, "queries": one.facts(examples), "documents": other.facts(examples)}
        for test, one, other in zip(tests, of_queries, of_documents, strict=True)
    ]
    written: dict[str, Any] | None = None
    if output:
        clean = without_queries(found, leaking)
        write_lists(clean, output)
        written = {"path": str(output), "lists": len(clean), "left_out": len(found) - len(clean)}
    if json:
        facts = {"lists": len(found), "queries": len(queries), "leaking_queries": len(leaking)}
        print_json({"path": str(lists), **facts, "searches": searches, "output": written})
        return
    print_searches(searches)
    if written:
        typer.echo(
            f"{written['path']}: {written['lists']:,} lists; {written['left_out']:,} lists of "
            f"{len(leaking):,} leaking queries left out"
        )


def print_searches(searches: list[dict[str, Any]]) -> None:
    """Counts of all searches in a table, then the examples of each."""
    rows = []
    for search in searches:
        for kind, noun in (("queries", "queries"), ("documents", "relevant documents")):
            facts = search[kind]
            counts = [f"{facts[key]:,}" for key in ("against", "exact", "near")]
            rows.append((f"{search['against']} {noun}", *counts, f"{facts['share']:.1%}", f"{facts['searched']:,}"))
    print_table(("test", "of it", "the same", "nearly", "share", "searched"), rows)
    for search in searches:
        for kind in ("queries", "documents"):
            for example in search[kind]["examples"]:
                typer.echo(_shown(search["against"], kind, example))
            if lacking := search[kind]["without_text"]:
                typer.echo(f"{search['against']}: {kind} without text, which could not be searched for: {lacking:,}")


def _shown(test: str, kind: str, example: Mapping[str, Any]) -> str:
    alike = "the same" if example["same"] else f"{example['likeness']:.2f}"
    lines = [f"\n{test} {kind}, {alike}", f"  lists  {example['id']}: {_cut(example['text'])}"]
    return "\n".join([*lines, f"  test   {example['of']}: {_cut(example['of_text'])}"])


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:159]}…"
