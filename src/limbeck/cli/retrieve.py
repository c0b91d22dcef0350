"""Verbs that find candidates: retrieve bm25, splade, dense, and fuse."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from limbeck.cli.output import CandidatesDepth, CollectionName, Json, RunOutput, load, print_json, say
from limbeck.cli.runs import report_run
from limbeck.core.errors import DataError, plural

Depth = Annotated[int, typer.Option(min=1, help="Candidates per query.")]
MaxLength = Annotated[int | None, typer.Option(min=1, help="Maximum tokens of a text; default: the model's own.")]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    retrieval = typer.Typer(help="First stages: rank a collection's documents.", no_args_is_help=True)
    for name, verb in (("bm25", bm25), ("splade", splade), ("dense", dense), ("fuse", fuse)):
        retrieval.command(name)(verb)
    app.add_typer(retrieval, name="retrieve")


def bm25(
    collection: CollectionName,
    output: RunOutput,
    depth: Depth = 100,
    k1: Annotated[float, typer.Option(help="Term frequency saturation.")] = 0.9,
    b: Annotated[float, typer.Option(help="Document length normalisation.")] = 0.4,
    stemmer: Annotated[str, typer.Option(help="Language of the Snowball stemmer, or none.")] = "english",
    stopwords: Annotated[str, typer.Option(help="Language of the stopword list, or none.")] = "english",
    tokenizer: Annotated[
        Literal["script", "words", "whitespace"],
        typer.Option(help="script: words, and n-grams for scripts without spaces; whitespace: segmented beforehand."),
    ] = "script",
    json: Json = False,
) -> None:
    """Rank a collection's documents with BM25.

    Unicode is normalised (NFKC, case folding). Chinese, Japanese and Korean are searched by one and two characters,
    Thai, Lao, Khmer and Burmese by two and three; texts from a segmenter of your own go with --tokenizer whitespace.
    """
    words = {"stemmer": _or_none(stemmer), "stopwords": _or_none(stopwords), "tokenizer": tokenizer}
    _retrieve("bm25", {"k1": k1, "b": b, **words}, collection, depth, output, json)


def splade(
    model: Annotated[str, typer.Option(help="SPLADE encoder: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    output: RunOutput,
    depth: Depth = 100,
    max_length: MaxLength = None,
    json: Json = False,
) -> None:
    """Rank a collection's documents by the term weights of a SPLADE encoder.

    Weights are kept in limbeck's cache ($LIMBECK_CACHE); encoding that was interrupted goes on.
    """
    _retrieve("splade", {"model": model, "max_length": max_length}, collection, depth, output, json)


def dense(
    model: Annotated[str, typer.Option(help="Bi-encoder: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    output: RunOutput,
    depth: Depth = 100,
    similarity: Annotated[
        Literal["cosine", "dot"] | None, typer.Option(help="Default: what the model names, else cosine.")
    ] = None,
    max_length: MaxLength = None,
    json: Json = False,
) -> None:
    """Rank a collection's documents by a bi-encoder's embeddings, compared exhaustively.

    Embeddings are kept in limbeck's cache ($LIMBECK_CACHE); encoding that was interrupted goes on.
    """
    settings = {"model": model, "similarity": similarity, "max_length": max_length}
    _retrieve("dense", settings, collection, depth, output, json)


def fuse(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="TREC runs of the same queries.")],
    output: RunOutput,
    method: Annotated[
        Literal["rrf", "interpolate"],
        typer.Option(help="Reciprocal rank fusion, or a weighted sum of min-max normalised scores."),
    ] = "rrf",
    k: Annotated[float, typer.Option(help="RRF k.")] = 60,
    weight: Annotated[
        list[float] | None, typer.Option(help="Interpolation weight of a run; give it once for each run.")
    ] = None,
    depth: CandidatesDepth = None,
    json: Json = False,
) -> None:
    """Fuse runs into one, by ranks or by scores."""
    from limbeck.runs import Fusion, read_run, write_run
    from limbeck.runs.metadata import write_metadata

    fusion = Fusion(method, k, tuple(weight or ()))
    fusion.expect(len(run))
    runs = [read_run(path) for path in run]
    fused = fusion.fuse(runs, output.name)
    fused = fused.cut(depth) if depth else fused
    write_run(fused, output)
    parameters = {"k": k} if method == "rrf" else {"weight": list(fusion.weights)}
    write_metadata(
        output, fused.tag, None, {"method": method, **parameters, "interpolates": [r.name for r in runs]}, run
    )
    candidates = sum(len(ranking) for ranking in fused.values())
    partial = sum(any(query_id not in one for one in runs) for query_id in fused)
    if json:
        print_json(
            {"output": str(output), "queries": len(fused), "candidates": candidates, "queries_not_in_all_runs": partial}
        )
    else:
        note = f"; {plural(partial, 'query')} not in all runs" if partial else ""
        say(f"{output}: {plural(candidates, 'candidate')} of {plural(len(fused), 'query')}{note}")


def _retrieve(kind: str, settings: dict[str, Any], name: str, depth: int, output: Path, json: bool) -> None:
    from limbeck.retrieval import make_retriever
    from limbeck.runs import write_run
    from limbeck.runs.metadata import write_metadata

    first_stage = make_retriever(kind, settings)
    collection = load(name)
    run = first_stage.retrieve(collection, depth)
    if not run:
        raise DataError(
            f"no query of {name} found a document, so {output} is not written; do queries and documents share a "
            f"language, and does the first stage suit it? (BM25: --stemmer, --stopwords, --tokenizer)"
        )
    write_run(run, output)
    stage = {"method": kind, **{name: value for name, value in settings.items() if value is not None}, "depth": depth}
    write_metadata(output, run.tag, collection.name, stage)
    report_run(run, collection, output, json)


def _or_none(language: str) -> str | None:
    return None if language == "none" else language
