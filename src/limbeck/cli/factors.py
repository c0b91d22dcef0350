"""The verb study factors: what the variance of a study's figures is due to."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli.output import Json, print_json, print_table, warn
from limbeck.core.errors import UsageError

if TYPE_CHECKING:
    from limbeck.evaluation import FactorAnalysis, Figures
    from limbeck.evaluation.statistics.comparison import Interval
    from limbeck.evaluation.statistics.factors import Effect, Ratio
    from limbeck.study.analysis.factors import Table


def factors(
    source: Annotated[Path, typer.Argument(metavar="DIR|TABLE.csv", help="Finished study, or a table of figures.")],
    measure: Annotated[str | None, typer.Option(help="Measure; default: a study's first.")] = None,
    factor: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that tells configurations apart, once for each; default: backbone, objective, negatives."
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
    from limbeck.report.formats import plural
    from limbeck.study.analysis.factors import figures, read_table, select, study_table
    from limbeck.study.analysis.gather import gather

    if source.is_dir():
        results = gather(source)
        table = study_table(results.recipes, results.cells)
    else:
        table = read_table(source)
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
    _print(data, found, chosen.rows[0][1].get("measure", "value"))


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


def _print(data: "Figures", found: "FactorAnalysis", measure: str) -> None:
    seeds = sorted({min(map(len, data.values)), max(map(len, data.values))})
    scope = (
        f"{len(data.values)} configurations × {len(data.collections)} collections, seeds: {'–'.join(map(str, seeds))}"
    )
    rows = [
        (share.term, "—" if share.share is None else f"{share.share:.1%}", _interval(share.interval, percent=True),
         f"{share.variance**0.5:.4f}", f"{share.df}{'' if share.df == share.expected else f' of {share.expected}'}")
        for share in found.shares
    ]  # fmt: skip
    print_table(("variance due to", "share", "95 % interval", "std", "df"), rows, title=f"{measure}: {scope}")
    effects = [(f"{one.factor}: {one.level}", f"{one.effect:+.4f}", _interval(one.interval)) for one in _sorted(found)]
    print_table(("effect of", "difference to the mean", "95 % interval"), effects)
    for ratio in found.ratios:
        typer.echo(_sentence(ratio, found))
    for note in found.notes:
        typer.echo(f"Note: {note}.")
    if found.drawn:
        typer.echo(f"Intervals: bootstrap over {' and '.join(found.drawn)}; the levels of factors are those at hand.")


def _sorted(found: "FactorAnalysis") -> "list[Effect]":
    order = list(dict.fromkeys(one.factor for one in found.effects))
    return sorted(found.effects, key=lambda one: (order.index(one.factor), -one.effect))


def _sentence(ratio: "Ratio", found: "FactorAnalysis") -> str:
    """The two factors against each other."""
    spans = [
        f"{_ends(found, name)} {span:+.4f}{_bracket(interval, 4)}"
        for name, span, interval in zip((ratio.a, ratio.b), ratio.spans, ratio.span_intervals, strict=True)
    ]
    highest = f"highest less lowest: {spans[0]}; {spans[1]}."
    if ratio.ratio is None:
        return f"The figures do not differ over {ratio.b}. {ratio.a} and {ratio.b}, {highest}"
    return (
        f"The figures spread {ratio.ratio:.2f}{_bracket(ratio.interval)} times as far over {ratio.a} as over {ratio.b} "
        f"(standard deviations of effects); {highest}"
    )


def _ends(found: "FactorAnalysis", factor: str) -> str:
    some = [one for one in _sorted(found) if one.factor == factor]
    return f"{some[0].level} − {some[-1].level}"


def _interval(bounds: "Interval | None", percent: bool = False) -> str:
    if bounds is None:
        return "—"
    return f"{bounds[0]:.1%} … {bounds[1]:.1%}" if percent else f"{bounds[0]:+.4f} … {bounds[1]:+.4f}"


def _bracket(bounds: "Interval | None", digits: int = 2) -> str:
    return "" if bounds is None else f" [{bounds[0]:.{digits}f}, {bounds[1]:.{digits}f}]"
