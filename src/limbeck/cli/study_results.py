"""Verbs on the results of a study: report, track, factors."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import Json, console, print_json, print_table, tell, warn
from limbeck.core.errors import UsageError, plural
from limbeck.training.log import Tracker

if TYPE_CHECKING:
    from limbeck.evaluation import FactorAnalysis, Figures
    from limbeck.study.analysis.factors import Table

StudyFolder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `study run` wrote.")]


def report(folder: StudyFolder, json: Json = False) -> None:
    """Write the report (HTML, Markdown, CSV, LaTeX, JSON, Parquet, figures) into DIR/report and print its table."""
    from limbeck.report import print_report, require_packages, summary_json, write_report

    require_packages()
    from limbeck.report.paper import write_paper
    from limbeck.study.analysis.explorer import explore
    from limbeck.study.analysis.gather import gather
    from limbeck.study.analysis.provenance import write_provenance, write_values

    results = gather(folder)
    files = write_report(results, folder / "report", explore(folder))
    for write, name in ((write_values, "results.parquet"), (write_provenance, "provenance.json")):
        write(folder, folder / "report" / name)
        files.append(folder / "report" / name)
    paper, left_out = write_paper(results, folder / "report")
    files += paper
    for line in left_out:
        tell(line, "dim")
    if json:
        print_json({**summary_json(results), "files": [str(file) for file in files]})
        return
    print_report(results, console())
    typer.echo("\n".join(str(file) for file in files))


def track(
    folder: StudyFolder,
    to: Annotated[Tracker, typer.Option(help="Where the numbers go.")],
    json: Json = False,
) -> None:
    """Send the logs and results of a study to an experiment tracker, a run for each cell; also while it runs."""
    from limbeck.study.analysis.track import track_study

    counts = track_study(folder, to, lambda line: tell(line, "dim"))
    if json:
        print_json({"to": to, **counts})
        return
    left_out = f"; {counts['without_log']} have not begun" if counts["without_log"] else ""
    place = f" (tensorboard --logdir {folder / 'tensorboard'})" if to == "tensorboard" else ""
    typer.echo(f"{to}: {plural(counts['records'], 'record')} of {plural(counts['cells'], 'cell')}{place}{left_out}")


def factors(
    source: Annotated[Path, typer.Argument(metavar="DIR|TABLE.csv", help="Finished study, or a table of figures.")],
    measure: Annotated[str | None, typer.Option(help="Measure; default: a study's first.")] = None,
    factor: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that tells configurations apart, once for each; default: backbone, objective, negatives, "
            "first stage."
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE,…", help="Only rows with one of these values.")
    ] = None,
    json: Json = False,
) -> None:
    """How much of the variance is backbone, objective, negatives, seed, collection; effects and ratios with intervals.

    TABLE.csv has the columns collection and value, factors such as backbone and objective; perhaps measure and seed.
    """
    from limbeck.evaluation import analyse_factors
    from limbeck.study.analysis.factors import figures, read_table, select
    from limbeck.study.analysis.gather import gather_table

    table = gather_table(source) if source.is_dir() else read_table(source)
    if source.is_dir() and measure is None:
        measure = table.rows[0][1]["measure"]
    conditions = [*(where or ()), *([f"measure={measure}"] if measure else [])]
    chosen = select(table, _conditions(conditions, table))
    data = figures(chosen, factor or ())
    found = analyse_factors(data)
    if table.skipped:
        warn([f"{source}: {plural(table.skipped, 'row')} without a value left out"])
    if json:
        print_json(
            {
                "source": str(source),
                "measure": chosen.rows[0][1].get("measure"),
                "factors": dict(zip(data.factors, data.levels, strict=True)),
                "collections": data.collections,
                "configurations": len(data.values),
                "seeds": [len(values) for values in data.values],
                **asdict(found),
            }
        )
        return
    _print_factors(data, found, chosen.rows[0][1].get("measure", "value"))


def _conditions(texts: list[str], table: "Table") -> dict[str, list[str]]:
    """Column → values that count; those of a column that is named twice are joined. A value itself may have commas."""
    found: dict[str, list[str]] = {}
    for text in texts:
        column, sign, values = text.partition("=")
        if not sign:
            raise UsageError(f'--where "{text}"; expected COLUMN=VALUE or COLUMN=VALUE,VALUE')
        there = {row.get(column) for _, row in table.rows}
        found.setdefault(column, []).extend([values] if values in there else values.split(","))
    return found


def _print_factors(data: "Figures", found: "FactorAnalysis", measure: str) -> None:
    from limbeck.report.factors import state_analysis

    seeds = "–".join(map(str, sorted({min(data.seeds), max(data.seeds)})))
    size = f"{plural(len(data.values), 'configuration')} × {plural(len(data.collections), 'collection')}"
    scope = f"{size}, seeds of each: {seeds}"
    text = state_analysis(found)
    columns = ("variance due to", "share", "without collections", "share's 95 % interval", "std", "df")
    print_table(columns, text.shares, title=f"{measure}: {scope}")
    if text.effects:
        print_table(("effect of", "difference to the mean", "these models", "these recipes"), text.effects)
    for sentence in text.sentences:
        typer.echo(sentence)
