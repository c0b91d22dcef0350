"""Reports of a study: terminal, Markdown, CSV, LaTeX, JSON and one self-contained HTML page."""

from limbeck.report.data import summary_json, to_csv
from limbeck.report.finding import Finding, state_finding
from limbeck.report.latex import to_latex
from limbeck.report.page import require_packages, to_html, write_report
from limbeck.report.table import Entry, Row, Table, build_table
from limbeck.report.text import print_report, to_markdown

__all__ = [
    "Entry",
    "Finding",
    "Row",
    "Table",
    "build_table",
    "print_report",
    "require_packages",
    "state_finding",
    "summary_json",
    "to_csv",
    "to_html",
    "to_latex",
    "to_markdown",
    "write_report",
]
