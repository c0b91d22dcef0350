"""The results in a terminal, as rich draws them."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Drawing
from rich.text import Text

from limbeck.report.cheapest import state_cheapest
from limbeck.report.finding import state_finding
from limbeck.report.formats import number
from limbeck.report.phrases import REHEARSAL, bound_sentences, legend, other_title, other_warnings, unfinished_cells
from limbeck.report.table import Entry, Row, Table, build_table
from limbeck.study.analysis.results import StudyResults

_NAME = 8
_VALUE = 15


def print_report(results: StudyResults, console: Console) -> None:
    """The finding, one table per measure, and everything a reader must know about missing values."""
    table = build_table(results)
    finding = state_finding(results, table)
    console.print(Text(results.name, style="bold"))
    if results.rehearsal:
        console.print(Text(REHEARSAL, style="bold red"))
    console.print(Text(finding.headline))
    for sentence in finding.details:
        console.print(Text(sentence, style="dim"))
    for measure in table.measures:
        for collections in _blocks(table, console.width):
            console.print()
            console.print(draw_table(table, measure, collections))
    for other in results.other_first_stages:
        beside = build_table(results.on(other))
        console.print()
        console.print(Text(other_title(results, other), style="bold"))
        for collections in _blocks(beside, console.width):
            console.print(draw_table(beside, beside.measures[0], collections))
    console.print(Text(legend(results), style="dim"))
    if cheapest := state_cheapest(results):
        console.print(Text(cheapest.sentence))
    for number_, sentence in enumerate(bound_sentences(results)):
        console.print(Text(sentence, style="bold" if not number_ else ""))
    for note in table.notes:
        console.print(Text(note, style="yellow"))
    for cell in unfinished_cells(results):
        if cell.error:
            name = f"{cell.recipe} on {cell.backbone}, seed {cell.seed}"
            console.print(Text(f"failed: {name}: {cell.error}", style="red"))
    for warning in other_warnings(results):
        console.print(Text(f"warning: {warning}", style="yellow"))


def draw_table(table: Table, measure: str, collections: Sequence[str]) -> Drawing:
    """One measure: a row per system, a column per suite or collection."""
    drawing = Drawing(title=Text(measure), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    drawing.add_column("recipe", overflow="fold", min_width=_NAME)
    drawing.add_column("backbone", overflow="fold", min_width=_NAME)
    for collection in collections:
        # Left, since rich would strip the room that a missing mark leaves, and digits would not stand under digits.
        drawing.add_column(Text(collection), overflow="fold", min_width=_VALUE)
    backbone = ""
    for row in table.rows:
        if row.kind == "recipe" and row.backbone != backbone:
            drawing.add_section()
            backbone = row.backbone
        drawing.add_row(*_names(row), *(_entry(row.entry(name, measure)) for name in collections))
    return drawing


def _blocks(table: Table, width: int) -> list[tuple[str, ...]]:
    """The collections in as many tables as `width` asks for: names may wrap, a number must never be cut."""
    names = 2 * (max([_NAME, *(min(len(name), 24) for row in table.rows for name in (row.recipe, row.backbone))]) + 2)
    size = max(1, (width - names) // (_VALUE + 2))
    return [table.columns[start : start + size] for start in range(0, len(table.columns), size)]


def _names(row: Row) -> tuple[Text, Text]:
    if row.kind == "recipe":
        return Text(row.signed_recipe), Text(row.backbone)
    return Text(row.recipe, style="italic"), Text(row.kind, style="dim")


def _entry(entry: Entry) -> Text:
    text = Text(number(entry.mean), style="bold" if entry.best else "")
    if entry.std is not None:
        text.append(f" ±{number(entry.std)}", style="not bold dim")
    if entry.mark:
        text.append(f" {entry.mark}", style="cyan" if entry.mark in "▲△" else "yellow")
    if entry.seed_note:
        text.append(f"\n{entry.seed_note}", style="not bold yellow")
    return text
