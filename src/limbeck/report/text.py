"""The results as text: in a terminal, as rich draws them, and as Markdown with pipe tables."""

import html
import re
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Drawing
from rich.text import Text

from limbeck.core.errors import plural
from limbeck.report.audit import (
    LEAK_NOTE,
    audit_sentences,
    backbone_sentences,
    example_text,
    first_stage_sentences,
    leak_text,
    signed_recipe,
)
from limbeck.report.cheapest import state_cheapest
from limbeck.report.finding import claims_note, state_claims, state_finding
from limbeck.report.formats import duration, interval, moment, number, one_line, p_value, signed
from limbeck.report.phrases import (
    REHEARSAL,
    bound_sentences,
    entry_text,
    legend,
    other_title,
    other_warnings,
    pair_note,
    pairs_note,
    recipe_text,
    statements,
    unfinished_cells,
)
from limbeck.report.table import Entry, Row, Table, build_table
from limbeck.study.analysis.results import Cell, OtherFirstStage, StudyResults

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


_SHOWN = 3  # leaks of each search


def to_markdown(results: StudyResults) -> str:
    """The finding, a table per measure, the pairs of recipes with their audit, and what is missing."""
    table = build_table(results)
    finding = state_finding(results, table)
    cells = results.cells
    done = sum(cell.state == "done" for cell in cells)
    blocks = [
        f"# {escape(results.name)}",
        f"**{REHEARSAL}**" if results.rehearsal else "",
        f"**{escape(finding.headline)}** {escape(' '.join(finding.details))}",
        f"{done} of {plural(len(cells), 'cell')} finished · {duration(results.seconds)} of training and "
        f"evaluation · limbeck {escape(results.limbeck_version)} · {escape(moment(results.created))}",
        *(f"## {escape(measure)}\n\n{measure_table(table, measure)}" for measure in table.measures),
        escape(legend(results)),
        *(_other_first_stage(results, other) for other in results.other_first_stages),
        _section("Bounds", bound_sentences(results)),
        _claims(results),
        _section("Cost and quality", [cheapest.sentence] if (cheapest := state_cheapest(results)) else []),
        _bullets(table.notes),
        _recipes(results),
        _pairs(results),
        _section(
            "Audit",
            [
                *audit_sentences(results.audit),
                *backbone_sentences(results.facts),
                *first_stage_sentences(results),
            ],
        ),
        _leaks(results),
        _section("Unfinished cells", [_cell(cell) for cell in unfinished_cells(results)]),
        _section("Warnings", other_warnings(results)),
        _section("Not in this report", statements(results, table)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def measure_table(table: Table, measure: str) -> str:
    """One measure as a pipe table: a row per system, a column per suite and collection."""
    rows = []
    for row in table.rows:
        values = []
        for collection in table.columns:
            entry = row.entry(collection, measure)
            text = entry_text(entry)
            value, _, rest = text.partition(" ")
            values.append(" ".join(filter(None, (f"**{value}**", rest))) if entry.best else text)
        rows.append(
            [
                escape(row.signed_recipe),
                escape(row.backbone) if row.kind == "recipe" else f"*{row.kind}*",
                *values,
            ]
        )
    return _pipe_table(["recipe", "backbone", *map(escape, table.columns)], rows, left=2)


def escape(text: object) -> str:
    r"""Text that Markdown shows as it is, inside a table too.

    >>> escape("a|b <i> *c*")
    'a\\|b &lt;i&gt; \\*c\\*'
    """
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", html.escape(one_line(text), quote=False))


def _pipe_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> str:
    rule = ["---" if column < left else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def _other_first_stage(results: StudyResults, other: OtherFirstStage) -> str:
    table = build_table(results.on(other))
    title = f"## {escape(other_title(results, other))}"
    return f"{title}\n\n{measure_table(table, table.measures[0])}"


def _claims(results: StudyResults) -> str:
    claims = _section("Claims", [f"{one.sentence} {one.caution}".strip() for one in state_claims(results)])
    return f"{claims}\n\n{escape(claims_note(results))}" if claims else ""


def _recipes(results: StudyResults) -> str:
    lines = [f"{escape(recipe.name)}: {escape(recipe_text(recipe))}" for recipe in results.recipes]
    return "## Recipes\n\n" + "\n".join(f"- {line}" for line in lines)


def _pairs(results: StudyResults) -> str:
    if not results.pairwise:
        return ""
    rows = [
        [
            escape(pair.collection),
            escape(pair.a.backbone),
            escape(" − ".join(signed_recipe(results, side.backbone, side.recipe) for side in (pair.a, pair.b))),
            escape(pair_note(pair.differs)),
            signed(pair.difference),
            interval(*((pair.shown and pair.shown.interval) or (None, None))),
            f"{p_value(pair.shown.corrected_p if pair.shown else None)} {pair.mark}".strip(),
        ]
        for pair in results.pairwise
    ]
    header = ["collection", "backbone", "recipes", "audit", "difference", "95 % interval", "corrected p"]
    return f"## Pairs of recipes\n\n{_pipe_table(header, rows, left=4)}\n\n{escape(pairs_note(results))}"


def _leaks(results: StudyResults) -> str:
    searches = [(row, noun, found) for row in results.leaks for noun, found in row.parts]
    if not searches:
        return ""
    rows = [[escape(row.where), escape(row.test), noun, escape(leak_text(found))] for row, noun, found in searches]
    table = _pipe_table(["searched", "test", "for its", "found"], rows, left=4)
    examples = [example_text(example) for _, _, found in searches for example in found.examples[:_SHOWN]]
    return "\n\n".join(filter(None, ["## Leaks", table, escape(LEAK_NOTE), _bullets(examples)]))


def _cell(cell: Cell) -> str:
    error = f": {cell.error}" if cell.error else ""
    return f"{cell.recipe} on {cell.backbone}, seed {cell.seed}: {cell.state}{error}"


def _section(title: str, lines: Iterable[str]) -> str:
    bullets = _bullets(lines)
    return f"## {title}\n\n{bullets}" if bullets else ""


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)
