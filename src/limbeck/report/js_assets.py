"""The libraries that draw and sort inside a page, as text out of installed packages: nothing of them is kept here."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from limbeck.core.environment import from_extra
from limbeck.core.errors import MissingError


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
