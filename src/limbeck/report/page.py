"""The results as one self-contained HTML page, from which no request leaves, and as a folder of all formats."""

import base64
import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from limbeck.core.errors import MissingError, enumerate_words, from_extra, plural, printable
from limbeck.core.files import plain, write_text
from limbeck.report import formats
from limbeck.report.audit import (
    LEAK_NOTE,
    audit_matrices,
    audit_sentences,
    backbone_sentences,
    example_text,
    first_stage_sentences,
    leak_text,
    signed_recipe,
    terms_notes,
)
from limbeck.report.charts import Chart, differences, heat_map, rank_chart, rank_recipes, ranks_note
from limbeck.report.cheapest import state_cheapest
from limbeck.report.curves import cost, loss, scaling, validation
from limbeck.report.data import pack, table_data, to_csv
from limbeck.report.factors import state_factors
from limbeck.report.finding import claims_note, state_claims, state_finding
from limbeck.report.latex import to_latex
from limbeck.report.phrases import (
    REHEARSAL,
    bound_sentences,
    entry_text,
    legend,
    other_title,
    other_warnings,
    pairs_note,
    stage_text,
    statements,
    unfinished_cells,
)
from limbeck.report.table import Table, build_table
from limbeck.report.text import to_markdown
from limbeck.study.analysis.results import StudyResults


@dataclass(frozen=True)
class Bundle:
    """Scripts, each an ES module, and the styles that they need. No text of them ends a script or asks for anything."""

    charts: str
    tables: str
    styles: str


def require_packages() -> tuple[Any, Any, Any]:
    """vl-convert, itables and matplotlib. MissingError names their extra where one is not installed."""
    vl_convert, itables, matplotlib = (
        from_extra(name, "report", "the report of a study") for name in ("vl_convert", "itables", "matplotlib")
    )
    return vl_convert, itables, matplotlib


@cache
def bundle() -> Bundle:
    """Vega-Lite out of vl-convert (`vegaEmbed` in the page) and DataTables out of itables (`DataTable`).

    MissingError where the extra `report` is not installed, where itables holds no DataTables as this
    version expects them, or where a bundle could not stand in a page.
    """
    vl_convert, itables, _ = require_packages()
    folder = files(itables) / "html"
    script = (folder / "dt_bundle.js").read_text(encoding="utf-8")
    # A module inside a page cannot be imported from: what it exports becomes global instead.
    tables, found = re.subn(r"export\{[^}]*?\b(\w+) as default\b[^}]*\}", r"window.DataTable=\1", script)
    if found != 1:
        raise MissingError("itables: its DataTables bundle has no default export; install itables>=2.9,<3")
    styles = (folder / "dt_bundle.css").read_text(encoding="utf-8")
    charts = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # In a regular expression; after it, HTML would not see the script's end.
    tables = tables.replace("<!--", r"<\!--")
    ends = any(end in text.lower() for text in (charts, tables) for end in ("</script", "<!--"))
    if ends or "</style" in styles.lower():
        raise MissingError("vl-convert or itables: its bundle holds text that would end a script or style in a page")
    return Bundle(charts, tables, styles)


_SCRIPTS = ("data.js", "tables.js", "charts.js", "explorer.js", "page.js")


def to_html(results: StudyResults, queries: Mapping[str, Any] | None = None) -> str:
    """The whole page as text, UTF-8 when written; `queries` as `limbeck.study.analysis.explorer` gives them.

    Everything from the results is escaped, or packed as base64 and shown as text by the page's own scripts. A policy in
    the page lets no other script run and no request leave it.
    """
    table = build_table(results)
    cells = results.cells
    ranked = rank_recipes(table)
    charts = {chart.name: chart for chart in charts_of(results, table)}
    if isinstance(ranked, str):
        ranks = ranked
    else:
        charts["ranks"] = rank_chart(*ranked)
        ranks = ranks_note(ranked[1], len(table.collections))
    claims, factors = state_claims(results), state_factors(results.factors)
    shown = queries if queries and any(each["queries"] for each in queries["collections"]) else None
    reasons = [
        (not claims, "Claims: no two recipes could be compared."),
        ("scaling" not in charts, "Scaling: fewer than two sizes of backbone are known."),
        ("cost" not in charts, "Cost and quality: no two systems are known whose costs differ."),
        ("ranks" not in charts, f"Critical differences: {ranks[0].lower()}{ranks[1:]}"),
        (not results.pairwise, "Recipe pairs: no two recipes of a backbone were compared."),
        (bool(factors.absent), f"Factors: {factors.absent}."),
        (not results.audit, "Audit: there are no two recipes of a backbone."),
        (not results.leaks, "Leaks: nothing was searched for them."),
        (shown is None, "Query explorer: there are no rankings to explore."),
    ]
    absent = [*statements(results, table), *(sentence for is_absent, sentence in reasons if is_absent)]
    libraries = bundle()
    scripts = [libraries.charts, libraries.tables, _script()]
    context = {
        "results": results,
        "table": table,
        "finding": state_finding(results, table),
        "claims": claims,
        "claims_note": claims_note(results),
        "pairs_note": pairs_note(results),
        "cheapest": state_cheapest(results),
        "factors": factors,
        "rehearsal": REHEARSAL,
        "legend": " ".join((legend(results), *terms_notes(results))),
        "notes": [note for note in table.notes if note not in terms_notes(results)],
        "done": sum(cell.state == "done" for cell in cells),
        "seeds": sorted({cell.seed for cell in cells}),
        "unfinished": unfinished_cells(results),
        "warnings": [*other_warnings(results), *((queries or {}).get("warnings") or ())],
        "absent": absent,
        "bounds": bound_sentences(results),
        "others": [
            (other_title(results, other), build_table(results.on(other))) for other in results.other_first_stages
        ],
        "charts": charts,
        "ranks": ranks,
        "audit": audit_matrices(results.audit),
        "audit_sentences": [
            *audit_sentences(results.audit),
            *backbone_sentences(results.facts),
            *first_stage_sentences(results),
        ],
        "leaks": results.leaks,
        "leak_note": LEAK_NOTE,
        "queries": shown,
        "output": shlex.quote(results.output),
        "styles": Markup(libraries.styles),
        "scripts": [Markup(text) for text in scripts],
        "policy": _policy(scripts),
        "packed": {
            "tables": pack(table_data(results, table)),
            "charts": pack({name: chart.spec for name, chart in charts.items()}),
            "queries": pack(queries),
        },
    }
    return _environment().get_template("report.html.j2").render(context)


def charts_of(results: StudyResults, table: Table) -> list[Chart]:
    """The charts for which there are numbers."""
    drawn = [
        heat_map(table),
        differences(table),
        scaling(results, table),
        cost(results, table),
        loss(results),
        validation(results),
    ]
    return [chart for chart in drawn if chart]


def _script() -> str:
    """The page's own script. It stands between newlines, which are a part of what the policy's hash is taken of."""
    templates = files("limbeck.report") / "templates"
    return "\n".join((templates / name).read_text(encoding="utf-8") for name in _SCRIPTS)


def _policy(scripts: list[str]) -> str:
    """A content security policy: these scripts alone, no request to anywhere."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("limbeck.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        formats.number,
        formats.signed,
        formats.duration,
        formats.moment,
        formats.count,
        plural,
        enumerate_words,
        leak_text,
        example_text,
        stage_text,
        entry_text,
        words,
    ):
        environment.filters[function.__name__] = function
    environment.globals["signed_recipe"] = signed_recipe
    return environment


def _shown(value: Any) -> Any:
    """Text without control characters; what is markup already stays as it is."""
    return printable(value) if type(value) is str else value


def words(value: str | float | None) -> str:
    """A setting as a reader writes it.

    >>> words("teacher_order"), words(5e-05), words(None)
    ('teacher order', '5e-05', '—')
    """
    return formats.ABSENT if value is None else str(value).replace("_", " ")


def write_report(
    results: StudyResults, folder: str | os.PathLike[str], queries: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write `report.html`, `report.md`, `results.csv`, `table.tex` and `results.json` into `folder`; their paths.

    `queries` are for the page alone, as `limbeck.study.analysis.explorer` gives them.

    All texts are made before the first is written, and each file appears whole or not at all. Folders on the way are
    made. Equal results give equal bytes. Raises MissingError where the folder cannot be written.
    """
    folder = Path(folder)
    texts = {
        "report.html": to_html(results, queries),
        "report.md": to_markdown(results),
        "results.csv": to_csv(results),
        "table.tex": to_latex(results),
        "results.json": json.dumps(plain(results), ensure_ascii=False, indent=1, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]
