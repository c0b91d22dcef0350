"""Verbs that find candidates: retrieve bm25, splade, dense, and fuse."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import CollectionName, Json, load, print_json
from limbeck.cli.runs import report_run

if TYPE_CHECKING:
    from limbeck.retrieval import BM25, Dense, Splade

Output = Annotated[Path, typer.Option(help="Run file to write; .gz compresses it.")]
Depth = Annotated[int, typer.Option(min=1, help="Candidates per query.")]
MaxLength = Annotated[int | None, typer.Option(min=1, help="Longest text in tokens; default the model's own.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    retrieval = typer.Typer(help="First stages: rank a collection's documents.", no_args_is_help=True)
    for name, verb in (("bm25", bm25), ("splade", splade), ("dense", dense), ("fuse", fuse)):
        retrieval.command(name)(verb)
    app.add_typer(retrieval, name="retrieve")


def bm25(
    collection: CollectionName,
    output: Output,
    depth: Depth = 100,
    k1: Annotated[float, typer.Option(help="Saturation of term frequency.")] = 0.9,
    b: Annotated[float, typer.Option(help="Strength of length normalisation.")] = 0.4,
    stemmer: Annotated[str, typer.Option(help="Snowball stemmer's language, or none.")] = "english",
    stopwords: Annotated[str, typer.Option(help="Stop word list's language, or none.")] = "english",
    json: Json = False,
) -> None:
    """Rank a collection's documents with BM25."""
    from limbeck.retrieval import BM25

    _retrieve(BM25(k1, b, _or_none(stemmer), _or_none(stopwords)), collection, depth, output, json)


def splade(
    model: Annotated[str, typer.Option(help="SPLADE encoder: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    output: Output,
    depth: Depth = 100,
    max_length: MaxLength = None,
    json: Json = False,
) -> None:
    """Rank a collection's documents by the term weights of a SPLADE encoder.

    Weights are kept in limbeck's cache ($LIMBECK_CACHE); encoding that was interrupted goes on.
    """
    from limbeck.retrieval import Splade

    _retrieve(Splade(model, max_length), collection, depth, output, json)


def dense(
    model: Annotated[str, typer.Option(help="Bi-encoder: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    output: Output,
    depth: Depth = 100,
    similarity: Annotated[
        str | None, typer.Option(help="cosine or dot; default what the model names, else cosine.")
    ] = None,
    max_length: MaxLength = None,
    json: Json = False,
) -> None:
    """Rank a collection's documents by a bi-encoder's embeddings, compared exhaustively.

    Embeddings are kept in limbeck's cache ($LIMBECK_CACHE); encoding that was interrupted goes on.
    """
    from limbeck.retrieval import Dense

    _retrieve(Dense(model, similarity, max_length), collection, depth, output, json)


def fuse(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run files of the same queries.")],
    output: Output,
    method: Annotated[
        str, typer.Option(help="rrf: reciprocal ranks, or interpolate: scores scaled to 0 to 1 for each query.")
    ] = "rrf",
    k: Annotated[float, typer.Option(help="Of rrf: what is added to a rank.")] = 60,
    weight: Annotated[
        list[float] | None, typer.Option(help="Of interpolate: a run's weight; give it once for each run.")
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Candidates per query; default all.")] = None,
    json: Json = False,
) -> None:
    """Fuse runs into one."""
    from limbeck.runs import Fusion, read_run, write_run

    fusion = Fusion(method, k, tuple(weight or ()))
    fusion.expect(len(run))
    runs = [read_run(path) for path in run]
    fused = fusion.fuse(runs, output.name)
    fused = fused.cut(depth) if depth else fused
    write_run(fused, output)
    candidates = sum(len(ranking) for ranking in fused.values())
    partial = sum(any(query_id not in one for one in runs) for query_id in fused)
    if json:
        print_json(
            {"output": str(output), "queries": len(fused), "candidates": candidates, "queries_not_in_all_runs": partial}
        )
    else:
        note = f"; {partial} queries are not in all runs" if partial else ""
        typer.echo(f"{output}: {candidates} candidates of {len(fused)} queries{note}")


def _retrieve(first_stage: "BM25 | Splade | Dense", name: str, depth: int, output: Path, json: bool) -> None:
    from limbeck.runs import write_run

    collection = load(name)
    run = first_stage.retrieve(collection, depth)
    write_run(run, output)
    report_run(run, collection, output, json)


def _or_none(language: str) -> str | None:
    return None if language == "none" else language
