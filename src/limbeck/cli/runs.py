"""Verbs on runs: rerank, evaluate."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from limbeck.cli.output import (
    CollectionName,
    Json,
    MatrixPrecision,
    RunOutput,
    errors,
    load,
    output_file,
    print_json,
    print_table,
    say,
    short_names,
    warn,
)
from limbeck.cli.systems import OptionalCollection, OwnDocument, Qrels, Relevance, doubts, load_judged, terms
from limbeck.core.errors import csv_cell, plural
from limbeck.core.files import write_text

if TYPE_CHECKING:
    from limbeck.models.cross_encoder import CrossEncoder
    from limbeck.tokens.pairs import Cuts

Measures = Annotated[
    list[str] | None,
    typer.Option(
        "--measures", help="Measures by their ir_measures names, such as nDCG@10 RR@10 AP.", metavar="NAME..."
    ),
]
DEFAULT_MEASURES = ("nDCG@10", "RR@10")


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command("rerank")(rerank)
    app.command("evaluate", context_settings={"allow_extra_args": True})(evaluate)


def rerank(
    model: Annotated[str, typer.Option(help="Cross-encoder: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    run: Annotated[Path, typer.Option("--run", "--candidates", help="TREC run with the candidates.")],
    output: RunOutput,
    depth: Annotated[int, typer.Option(min=1, help="Candidates re-ranked per query.")] = 100,
    precision: MatrixPrecision = "fp32",
    max_length: Annotated[
        int | None, typer.Option(min=1, help="Maximum tokens of a query-passage pair; default: the model's own.")
    ] = None,
    query_tokens: Annotated[
        int | None, typer.Option(min=1, help="Maximum tokens of a query; default: the model's own, or 64.")
    ] = None,
    passage_tokens: Annotated[
        int | None, typer.Option(min=1, help="Maximum tokens of a passage; default: what --max-length leaves room for.")
    ] = None,
    aggregate: Annotated[
        Literal["first", "max"],
        typer.Option(
            help="Longer passages: score their beginning (FirstP), or the best of overlapping windows (MaxP)."
        ),
    ] = "first",
    own_document: OwnDocument = None,
    json: Json = False,
) -> None:
    """Re-rank the candidates of a run with a cross-encoder.

    On several devices: torchrun --nproc-per-node N -m limbeck rerank --candidates RUN … (torchrun takes --run for its
    own --run-path).
    """
    from limbeck.core.devices import Processes
    from limbeck.evaluation import rerank as rerank_run
    from limbeck.models.cross_encoder import CrossEncoder
    from limbeck.runs import read_run, write_run
    from limbeck.runs.metadata import write_metadata

    data, candidates = load(collection).measured_as(own_document=own_document), read_run(run)
    split = set(data.query_ids)
    outside = sum(query_id not in split for query_id in candidates)
    if outside:
        warn([f"{run}: {plural(outside, 'query')} not of {collection}, left out"])
    processes = Processes.joined()
    encoder = CrossEncoder.load(
        model, max_length=max_length, query_tokens=query_tokens, passage_tokens=passage_tokens, processes=processes
    )
    warn([note] if processes.is_first and (note := encoder.precision(precision).note) else [])
    cuts: list[Cuts] = []
    ranked = rerank_run(
        encoder, data, candidates, depth, precision, output.name, aggregate=aggregate, on_cuts=cuts.append,
        console=errors() if processes.is_first else None,
    )  # fmt: skip
    if processes.is_first:
        write_run(ranked, output)
        stage = {"method": "cross-encoder", "model": model, "rerankCutoff": depth, "precision": precision}
        stage |= {"max_length": encoder.max_length, "query_tokens": encoder.query_tokens, "aggregate": aggregate}
        write_metadata(output, ranked.tag, data.name, {**stage, "reranks": candidates.name}, [run])
        report_run(ranked, data, output, json, {"cut": vars(cuts[0])}, cut_note(cuts[0], encoder))


def cut_note(cuts: "Cuts", encoder: "CrossEncoder") -> str:
    """A sentence on what was cut, or nothing."""
    if not cuts.pairs:
        return ""
    limits = f"queries to {encoder.query_tokens} tokens, pairs to {encoder.max_length}"
    return (
        f"cut in {plural(cuts.pairs, 'pair')}: {plural(cuts.queries, 'query')} and {plural(cuts.passages, 'passage')} "
        f"({limits}; --query-tokens, --max-length)"
    )


def evaluate(
    ctx: typer.Context,
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="TREC runs.")],
    collection: OptionalCollection = None,
    qrels: Qrels = None,
    measures: Measures = None,
    relevance: Relevance = None,
    own_document: OwnDocument = None,
    per_query: Annotated[Path | None, output_file("CSV file for the values of each query.")] = None,
    json: Json = False,
) -> None:
    """Evaluate runs on a collection's judgments, or on a qrels file alone.

    The mean is over all judged queries: one that a run lacks counts as 0.
    """
    from limbeck.evaluation import measure_run
    from limbeck.runs import read_run

    files, names = split_words(ctx, run, measures)
    data = load_judged(collection, qrels, relevance, own_document)
    evaluations = {path: measure_run(data, read_run(path), names) for path in files}
    warn(warning for path, found in evaluations.items() for warning in doubts(path, found))
    if per_query:
        _write_per_query(per_query, evaluations)
    if json:
        print_json({"collection": data.name, "runs": [as_json(path, found) for path, found in evaluations.items()]})
        return
    first = next(iter(evaluations.values()))
    label = short_names(list(evaluations))
    rows = [
        (label[path], *(f"{found.mean(name):.4f}" for name in first.measures), str(found.scored),
         str(len(found.missing)), str(len(found.short)))
        for path, found in evaluations.items()
    ]  # fmt: skip
    caption = f"{data.name}: {plural(first.queries, 'judged query')}"
    print_table(("run", *first.measures, "scored", "missing", "short"), rows, caption)
    if told := terms(first):
        say(told)


def split_words(ctx: typer.Context, words: Sequence[object], measures: list[str] | None) -> tuple[list[str], list[str]]:
    """Run files and measures: `--measures A B` may also be written as one option with several names.

    UsageError for a word that is neither file nor measure, before anything is read.
    """
    from limbeck.evaluation import canonical

    names, files = list(measures or ()), list[str]()
    for word in [*map(str, words), *ctx.args]:
        is_file = any(sign in word for sign in ("/", "{}", ".run")) or Path(word).exists()
        (files if is_file or not measures else names).append(word)
    names = names or list(DEFAULT_MEASURES)
    for name in names:
        canonical(name)
    return files, names


def as_json(path: str, found: Any) -> dict[str, Any]:
    """An evaluation as JSON holds it."""
    return {
        "run": path,
        "measures": {name: found.mean(name) for name in found.measures},
        "queries": found.queries,
        "scored": found.scored,
        "missing": list(found.missing),
        "short": list(found.short),
        "unjudged_queries": found.unjudged_queries,
        "relevance_level": found.relevance_level,
        "own_document": "remove" if found.own_document_removed else "keep",
        "float32_ties": found.float32_ties,
    }


def _write_per_query(path: Path, evaluations: dict[str, Any]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("run", "measure", "query_id", "value"))
    for run, found in evaluations.items():
        for name in found.measures:
            writer.writerows(
                (csv_cell(run), name, csv_cell(query_id), value) for query_id, value in found.values[name].items()
            )
    write_text(path, text.getvalue())


def report_run(
    run: Any, collection: Any, output: Path, as_json: bool, facts: Mapping[str, Any] | None = None, note: str = ""
) -> None:
    """Print how much a run holds of a collection's queries, then further facts as JSON holds them, or as a note."""
    candidates = sum(len(ranking) for ranking in run.values())
    absent = sum(query_id not in run for query_id in collection.query_ids)
    if as_json:
        counts = {"output": str(output), "queries": len(run), "candidates": candidates, "queries_without": absent}
        print_json({**counts, **(facts or {})})
        return
    without = f"; {plural(absent, 'query')} got no candidate" if absent else ""
    say(f"{output}: {plural(candidates, 'candidate')} of {plural(len(run), 'query')}{without}")
    if note:
        say(note)
