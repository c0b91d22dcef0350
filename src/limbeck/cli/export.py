"""Verbs that give a model to others: export writes its folder, with a card and as ONNX; push publishes it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import Json, errors, load, output_folder, print_json, print_table, tell
from limbeck.core.errors import UsageError, plural

if TYPE_CHECKING:
    from limbeck.export import Candidates, Origin


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command("export")(export)
    app.command("push")(push)


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Folder of a study or of a training; or a model: folder, Hub id, package:…"
        ),
    ],
    output: Annotated[Path, output_folder("Folder to write; its name is the model's.")],
    cell: Annotated[
        str | None, typer.Option(help="Of a study: this cell (its id, or the beginning); default: validation chooses.")
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Also as ONNX, fp32 and 8 bits, with their drift.")] = False,
    collection: Annotated[
        str | None, typer.Option(help="Pairs for the drift; default: a study's first test collection.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Run file with the candidates of those pairs.")] = None,
    depth: Annotated[int, typer.Option(min=1, help="Candidates per query for the drift.")] = 20,
    license: Annotated[
        str | None, typer.Option(help="License of the model, as the Hub spells it, such as apache-2.0.")
    ] = None,
    language: Annotated[list[str] | None, typer.Option(help="Code such as en; give it once for each.")] = None,
    base_model: Annotated[str | None, typer.Option(help="Hub id of the backbone, if it was named otherwise.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Hub id of what it was trained on; once for each.")] = None,
    data_license: Annotated[str | None, typer.Option(help="Terms of the training data, in words.")] = None,
    json: Json = False,
) -> None:
    """Write a model as a folder ready for the Hub: weights, tokeniser, card; of a study, the one validation chooses."""
    from limbeck.export import CardFacts, find_origin
    from limbeck.export import export as write_export

    origin = find_origin(source, cell)
    if not json and origin.chosen:
        tell(origin.chosen)
    if not onnx and (collection or run):
        raise UsageError("--collection and --run are for --onnx; give it too, or leave them out")
    facts = write_export(
        origin,
        output,
        CardFacts(license, language or (), base_model, dataset or (), data_license),
        _candidates(origin, collection, run, depth) if onnx else None,
        errors(),
    )
    if json:
        print_json(facts)
        return
    rows = [(name, f"{size:,}") for name, size in facts["files"].items()]
    print_table(("file", "bytes"), rows)
    if facts["drift"]:
        columns = ("ONNX", "pairs", "largest", "mean", "spread", "Kendall's τ", "nDCG@10", "before")
        print_table(columns, [
            (file, f"{of['pairs']:,}", f"{of['largest']:.2g}", f"{of['average']:.2g}", f"{of['spread']:.3f}",
             *("" if of[key] is None else f"{of[key]:.4f}" for key in ("tau", "after", "before")))
            for file, of in facts["drift"].items()
        ])  # fmt: skip
    typer.echo(f"{output}: `limbeck push {output} OWNER/NAME` shows what publishing it would upload")


def _candidates(origin: "Origin", collection: str | None, run: Path | None, depth: int) -> "Candidates":
    """The pairs to measure drift on: those given, else a study's own."""
    from limbeck.export import Candidates
    from limbeck.runs import read_run

    if (collection is None) != (run is None):
        raise UsageError("give both --collection and --run, or of a study neither")
    if collection is not None and run is not None:
        return Candidates(load(collection), read_run(run), depth)
    if origin.study is None:
        raise UsageError("--onnx needs real pairs to measure the drift on: give --collection and --run")
    test = origin.index["collections"][0]
    key = origin.index["first_stage"]["evaluations"][test["name"]]
    return Candidates(load(test["place"]), read_run(origin.study.evaluation(None, key) / "run.gz"), depth)


def push(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `limbeck export` wrote.")],
    repo: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the Hub; made if it is not there.")],
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public; default: private.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Upload; without it, only show what would be uploaded.")] = False,
    json: Json = False,
) -> None:
    """Show what publishing a model on the Hub would upload; with --yes, do it. The token is read from HF_TOKEN."""
    from limbeck.export import plan_upload
    from limbeck.export import push as upload_all

    upload = plan_upload(folder, repo, private=not public)
    if not json:
        rows = [(name, f"{size:,}") for name, size in upload.files.items()]
        kind = "private" if upload.private else "public"
        files = plural(len(rows), "file")
        caption = f"{files}, {upload.bytes:,} bytes, to {repo}, which is {kind} unless it is there already"
        print_table(("file", "bytes"), rows, caption)
    address = upload_all(upload) if yes else None
    if json:
        print_json(
            {"repo": repo, "private": upload.private, "files": upload.files, "bytes": upload.bytes, "uploaded": address}
        )
    elif address:
        typer.echo(f"uploaded: {address}")
    else:
        tell("nothing was uploaded; --yes does it")
