"""The results as LaTeX tables for a paper."""

from limbeck.core.errors import plural
from limbeck.report.formats import MINUS, one_line
from limbeck.report.phrases import REHEARSAL, marks_text
from limbeck.report.table import Entry, Row, Table, build_table
from limbeck.study.analysis.results import StudyResults

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    # After a line break an opening bracket or a star would be read as its argument.
    "[": "{[}",
    "*": "{*}",
    "·": r"\textperiodcentered{}",
    MINUS: "$-$",
    "±": r"$\pm$",
    "—": "---",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "τ": r"$\tau$",
}
MARKS = {"▲": r"\blacktriangle", "▼": r"\blacktriangledown", "△": r"\vartriangle", "▽": r"\triangledown"}


def to_latex(results: StudyResults) -> str:
    """One table environment per measure, with booktabs rules; marks are superscripts.

    The text goes into a document by `\\input`; its first lines name the packages it needs.
    """
    table = build_table(results)
    head = (
        "% \\usepackage[T1]{fontenc}\n% \\usepackage{booktabs}\n"
        "% \\usepackage{amssymb}  % \\blacktriangle, \\blacktriangledown\n"
    )
    return head + "".join(f"\n{_environment(table, measure, results)}" for measure in table.measures)


def marks_caption(results: StudyResults) -> str:
    """What the marks mean, in LaTeX."""
    text = escape(marks_text(results))
    for sign, command in MARKS.items():
        text = text.replace(sign, f"$^{{{command}}}$")
    return text


def escape(text: object) -> str:
    r"""Text as LaTeX prints it.

    >>> escape("50% of a_b & c")
    '50\\% of a\\_b \\& c'
    """
    return "".join(_SPECIAL.get(character, character) for character in one_line(text))


def _environment(table: Table, measure: str, results: StudyResults) -> str:
    header = ["Backbone", "Recipe", *map(escape, table.columns)]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_caption(table, measure, results)}}}",
        rf"\begin{{tabular}}{{ll{'l' * len(table.columns)}}}",
        r"\toprule",
        _row(header),
        r"\midrule",
    ]
    backbone = ""
    for row in table.rows:
        if row.kind == "recipe" and row.backbone != backbone:
            lines.append(r"\midrule")
        lines.append(_row(_cells(row, table, measure, repeat_backbone=row.backbone != backbone)))
        backbone = row.backbone
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _caption(table: Table, measure: str, results: StudyResults) -> str:
    seeds = len({cell.seed for cell in results.cells})
    parts = [
        *([rf"\textbf{{{escape(REHEARSAL)}}}"] if results.rehearsal else []),
        f"{escape(results.name)}: {escape(measure)}, mean over {plural(seeds, 'seed')}"
        + (r" $\pm$ standard deviation." if seeds > 1 else "."),
        f"{marks_caption(results)}.",
        *map(escape, table.notes),
    ]
    return " ".join(parts)


def _cells(row: Row, table: Table, measure: str, repeat_backbone: bool) -> list[str]:
    if row.kind == "recipe":
        names = [escape(row.backbone) if repeat_backbone else "", escape(row.signed_recipe)]
    else:
        names = [row.kind.capitalize(), escape(row.recipe)]
    return names + [_entry(row.entry(column, measure)) for column in table.columns]


def _entry(entry: Entry) -> str:
    if entry.mean is None:
        return "---"
    value = f"{entry.mean:.3f}".replace("-", "$-$")
    text = rf"\textbf{{{value}}}" if entry.best else value
    if entry.std is not None:
        text += rf" {{\scriptsize$\pm${entry.std:.3f}}}"
    if entry.mark:
        text += f"$^{{{MARKS[entry.mark]}}}$"
    if entry.seed_note:
        text += f" ({len(entry.seeds) - len(entry.absent)}/{len(entry.seeds)})"
    return text


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
