"""The results as Markdown with pipe tables."""

import html
import re
from collections.abc import Iterable, Sequence

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
from limbeck.report.formats import duration, interval, moment, one_line, p_value, plural, signed
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
from limbeck.report.table import Table, build_table
from limbeck.study.analysis.results import Cell, OtherFirstStage, StudyResults

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
            [escape(row.signed_recipe), escape(row.backbone) if row.kind == "recipe" else f"*{row.kind}*", *values]
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
