"""The verbs that go from documents to a re-ranker, or to the advice to do without: distil and demo."""

from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli.output import COLLECTION_HELP, Json, errors, output_folder, print_json, print_table, say, tell
from limbeck.core.options import Options, with_options
from limbeck.distil.budget import DistilSettings


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command("demo")(demo)
    app.command("distil")(distil)


def demo(
    collection: Annotated[str, typer.Option(help="Another collection: `limbeck distil` with its defaults.")] = "demo",
    output: Annotated[Path | None, output_folder("Folder for models and report; default: demo-out.")] = None,
    json: Json = False,
) -> None:
    """Distil and compare cross-encoders on the built-in collection: studies/demo.yaml, run and reported."""
    from limbeck.cli.study import run_and_report
    from limbeck.core.files import write_text
    from limbeck.study.config.study import demo_study, load_study

    folder = output or Path("demo-out")
    if collection != "demo":
        run_and_tell(collection, folder, DistilSettings(), json)
        return
    study = folder / "demo.yaml"
    write_text(study, demo_study().read_text(encoding="utf-8"))
    tell(f"study: {study}")
    run_and_report(load_study(study), folder, json, on="local")


@with_options(settings=Options(declaration=DistilSettings))
def distil(
    *,
    collection: Annotated[str, typer.Option(help=f"{COLLECTION_HELP} Queries and judgments may be missing.")],
    output: Annotated[Path, output_folder("Folder for the plan, the study, the model and what was found.")],
    settings: dict[str, Any],
    json: Json = False,
) -> None:
    """Distil the best re-ranker for a collection that this machine can make in some minutes, and say what it is worth.

    It measures the machine, says what it will do, trains, compares the student with BM25, with its teacher, with a
    ready re-ranker and with fusions of them on held-out queries, and recommends one of them or none. The same command
    again goes on where it was.
    """
    run_and_tell(collection, output, DistilSettings(**settings), json)


def run_and_tell(collection: str, output: Path, settings: DistilSettings, as_json: bool) -> None:
    """Distil, and print what was found."""
    from limbeck.distil.drive import distil as work
    from limbeck.report.formats import ABSENT, interval, p_value, signed

    facts = work(collection, output, settings, errors())
    if as_json:
        print_json(facts)
        return
    rows = [
        (
            row["system"], f"{row['chosen_by']:.4f}", f"{row['value']:.4f}", signed(row["difference"], 4),
            interval(*row["interval"]) if row["interval"] else ABSENT, p_value(row["p"]),
            f"{row['milliseconds']:,.0f}",
        )
        for row in facts.get("systems", ())
    ]  # fmt: skip
    if rows:
        plan = facts["plan"]
        caption = f"nDCG@10; chosen on {plan['valid']}, tested on {plan['test']} beside BM25 (95 % intervals, Holm)"
        columns = ("system", "choosing", "test", "− BM25", "interval", "p", "ms a query")
        print_table(columns, rows, caption)
    say(f"{facts['model']}: the student" + (", calibrated" if facts["calibration"] else ""))
    say(facts["advice"].words)
    if facts["advice"].use:
        say(facts["cost"])
        say("\n".join(f"  {command}" for command in facts["use"]))
