"""Verbs of teachers: stronger models turn a run's candidates into lists with signals."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.lists import print_description
from limbeck.cli.output import CollectionName, Json, load


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    teachers = typer.Typer(help="Teachers: score a run's candidates into training lists.", no_args_is_help=True)
    teachers.command("biencoder")(biencoder)
    app.add_typer(teachers, name="teach")


def biencoder(
    model: Annotated[str, typer.Option(help="sentence-transformers checkpoint: folder, Hub id or package:NAME/PATH.")],
    collection: CollectionName,
    run: Annotated[Path, typer.Option(help="Run file with the candidates.")],
    output: Annotated[Path, typer.Option(help="Lists to write (Parquet).")],
    depth: Annotated[int | None, typer.Option(min=1, help="Candidates per query; default all.")] = None,
    scale: Annotated[float, typer.Option(help="Factor of the cosine.")] = 1.0,
    json: Json = False,
) -> None:
    """Score a run's candidates with a bi-encoder: cosine of query and passage."""
    from limbeck.lists import lists_from_teacher, write_lists
    from limbeck.runs import read_run
    from limbeck.teachers import BiEncoder

    data = load(collection)
    lists = lists_from_teacher(data, read_run(run), BiEncoder.load(model), depth, scale=scale)
    write_lists(lists, output)
    print_description(lists, output, json)
