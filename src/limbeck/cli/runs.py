"""Verbs on runs: rerank, evaluate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli.output import CollectionName, Json, errors, load, print_json, print_table, short_names, warn

Measures = Annotated[
    list[str] | None, typer.Option("--measures", help="Measure by its ir_measures name; give it once for each.")
]
DEFAULT_MEASURES = ("nDCG@10", "RR@10")


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command("rerank")(rerank)
    app.command("evaluate", context_settings={"allow_extra_args": True})(evaluate)


def rerank(
    model: Annotated[str, typer.Option(help="Cross-encoder: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    run: Annotated[Path, typer.Option("--run", "--candidates", help="Run file with the candidates.")],
    output: Annotated[Path, typer.Option(help="Run file to write; .gz compresses it.")],
    depth: Annotated[int, typer.Option(min=1, help="Candidates per query.")] = 100,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    max_length: Annotated[int | None, typer.Option(help="Longest pair in tokens; default the model's own.")] = None,
    aggregate: Annotated[
        str, typer.Option(help="Passages longer than that: score the first tokens, or the max of overlapping windows.")
    ] = "first",
    json: Json = False,
) -> None:
    """Re-order a run's candidates with a cross-encoder.

    On several devices: torchrun --nproc-per-node N -m limbeck rerank --candidates RUN … (torchrun takes --run for its
    own --run-path).
    """
    from limbeck.core.distributed import Processes
    from limbeck.evaluation import rerank as rerank_run
    from limbeck.models.cross_encoder import CrossEncoder
    from limbeck.runs import read_run, write_run

    data, candidates = load(collection), read_run(run)
    outside = len([query_id for query_id in candidates if query_id not in set(data.query_ids)])
    if outside:
        warn([f"{outside} queries of {run} are not of {collection} and were left out"])
    processes = Processes.joined()
    encoder = CrossEncoder.load(model, max_length=max_length, processes=processes)
    console = errors() if processes.is_first else None
    ranked = rerank_run(encoder, data, candidates, depth, precision, output.name, console, aggregate)
    if processes.is_first:
        write_run(ranked, output)
        report_run(ranked, data, output, json)


def evaluate(
    ctx: typer.Context,
    collection: CollectionName,
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run files.")],
    measures: Measures = None,
    per_query: Annotated[Path | None, typer.Option(help="CSV file for every query's values.")] = None,
    json: Json = False,
) -> None:
    """Measure runs on a collection's judgments. Every judged query counts; one that a run lacks scores 0."""
    files, names = split_words(ctx, run, measures)
    data, evaluations = _evaluate(collection, list(map(Path, files)), names)
    if per_query:
        _write_per_query(per_query, evaluations)
    if json:
        print_json({"collection": data.name, "runs": [as_json(path, found) for path, found in evaluations.items()]})
        return
    shown = next(iter(evaluations.values())).measures
    label = short_names(list(evaluations))
    rows = [
        (label[path], *(f"{found.mean(name):.4f}" for name in shown), str(found.scored), str(len(found.missing)),
         str(len(found.short)))
        for path, found in evaluations.items()
    ]  # fmt: skip
    queries = next(iter(evaluations.values())).queries
    print_table(("run", *shown, "scored", "missing", "short"), rows, f"{data.name}: {queries} judged queries")


def split_words(ctx: typer.Context, words: Sequence[object], measures: list[str] | None) -> tuple[list[str], list[str]]:
    """Run files and measures: `--measures A B` may also be written as one option with several names."""
    from limbeck.evaluation import canonical

    names, files = list(measures or ()), []
    for word in [*map(str, words), *ctx.args]:
        if measures and not any(sign in word for sign in ("/", "{}", ".run")) and not Path(word).exists():
            canonical(word)  # a word that is neither file nor measure is refused here
            names.append(word)
        else:
            files.append(word)
    return files, names or list(DEFAULT_MEASURES)


def _evaluate(collection: str, runs: list[Path], measures: list[str]) -> tuple[Any, dict[str, Any]]:
    from limbeck.evaluation import measure_run
    from limbeck.runs import read_run

    data = load(collection)
    return data, {str(path): measure_run(data, read_run(path), measures) for path in runs}


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
    }


def _write_per_query(path: Path, evaluations: dict[str, Any]) -> None:
    import csv

    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("run", "measure", "query_id", "value"))
        for run, found in evaluations.items():
            for name in found.measures:
                writer.writerows((run, name, query_id, value) for query_id, value in found.values[name].items())


def report_run(run: Any, collection: Any, output: Path, as_json: bool) -> None:
    """Print how much a run holds of a collection's queries."""
    candidates = sum(len(ranking) for ranking in run.values())
    absent = len([query_id for query_id in collection.query_ids if query_id not in run])
    if as_json:
        print_json({"output": str(output), "queries": len(run), "candidates": candidates, "queries_without": absent})
    else:
        note = f"; {absent} queries got no candidate" if absent else ""
        typer.echo(f"{output}: {candidates} candidates of {len(run)} queries{note}")
