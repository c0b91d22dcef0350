"""The results as one self-contained HTML page: no request leaves it."""

import shlex
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from limbeck.report import formats
from limbeck.report.audit import audit_matrices, audit_sentences
from limbeck.report.examples import show_examples
from limbeck.report.figures import backbone_keys, difference_panels, loss_panels, recipe_keys, validation_panels
from limbeck.report.finding import state_finding
from limbeck.report.leaks import LEAK_NOTE, example_text, leak_rows, leak_text
from limbeck.report.svg import NEUTRAL, swatch
from limbeck.report.table import ABOVE, Results, Table, build_table, mark
from limbeck.report.terms import signed_recipe
from limbeck.report.wording import LEGEND, other_warnings, pair_note, stage_text, statements, unfinished_cells


def to_html(results: Results) -> str:
    """The whole page as text, UTF-8 when written. Everything from the results is escaped."""
    table = build_table(results)
    cells = results["cells"]
    context = {
        "results": results,
        "table": table,
        "finding": state_finding(results, table),
        "legend": LEGEND,
        "done": sum(cell["state"] == "done" for cell in cells),
        "seeds": sorted({cell["seed"] for cell in cells}),
        "unfinished": unfinished_cells(results),
        "warnings": other_warnings(results),
        "statements": statements(results, table),
        "differences": difference_panels(results, table),
        "losses": loss_panels(results),
        "validations": validation_panels(results),
        "backbone_keys": list(backbone_keys(results).values()),
        "recipe_keys": list(recipe_keys(results).values()),
        "pairs": _pairs(results, table),
        "audit": audit_matrices(results),
        "audit_sentences": audit_sentences(results),
        "leaks": leak_rows(results),
        "leak_note": LEAK_NOTE,
        "examples": show_examples(results),
        "output": shlex.quote(str(results["output"])),
    }
    return _environment().get_template("report.html.j2").render(context)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("limbeck.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        formats.number,
        formats.signed,
        formats.interval,
        formats.p_value,
        formats.duration,
        formats.moment,
        formats.count,
        formats.plural,
        formats.enumerate_words,
        pair_note,
        leak_text,
        example_text,
        stage_text,
        swatch,
        words,
    ):
        environment.filters[function.__name__] = function
    # Drawn by this package and escaped where it was drawn.
    environment.filters["drawing"] = Markup
    environment.globals.update(mark=mark, signed_recipe=signed_recipe, ABOVE=ABOVE, NEUTRAL=NEUTRAL)
    return environment


def words(value: Any) -> str:
    """A setting as a reader writes it.

    >>> words({"positives": 1, "negatives": 7, "depth": None}), words("teacher_order"), words(5e-05), words(None)
    ('1 positive, 7 negatives', 'teacher order', '5e-05', '—')
    """
    if isinstance(value, Mapping):
        counted = {"positives", "negatives"}
        parts = [
            formats.plural(item, key.removesuffix("s")) if key in counted else f"{key} {item}"
            for key, item in value.items()
            if item is not None
        ]
        return ", ".join(parts) or "whole list"
    if isinstance(value, list | tuple):
        return ", ".join(map(words, value)) or formats.ABSENT
    return formats.ABSENT if value is None else str(value).replace("_", " ")


def _pairs(results: Results, table: Table) -> list[tuple[str, list[dict[str, Any]]]]:
    """The pairs of recipes by collection, surest difference first."""
    pairs = results.get("pairwise") or ()
    grouped = [(name, [pair for pair in pairs if pair["collection"] == name]) for name in table.collections]
    return [
        (name, sorted(some, key=lambda pair: (pair["corrected_p"], -abs(pair["difference"]))))
        for name, some in grouped
        if some
    ]
