"""The verb that tells the whole story on the built-in collection, or distils for the user's."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.output import Json, errors, output_folder
from limbeck.cli.study import run_and_report


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("demo")(demo)


def demo(
    collection: Annotated[str, typer.Option(help="Another collection: `limbeck distil` with its defaults.")] = "demo",
    output: Annotated[Path | None, output_folder("Folder for models and report; default: demo-out.")] = None,
    json: Json = False,
) -> None:
    """Distil and compare cross-encoders on the built-in collection: studies/demo.yaml, run and reported."""
    from limbeck.core.files import write_text
    from limbeck.study.config.study import load_study
    from limbeck.study.demo import demo_study

    folder = output or Path("demo-out")
    if collection != "demo":
        from limbeck.cli.distil import run_and_tell
        from limbeck.distil.config import DistilSettings

        run_and_tell(collection, folder, DistilSettings(), json)
        return
    study = folder / "demo.yaml"
    write_text(study, demo_study().read_text(encoding="utf-8"))
    errors().print(f"study: {study}", highlight=False, markup=False)
    run_and_report(load_study(study), folder, json, on="local")
