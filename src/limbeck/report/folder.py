"""A report on disk: every format of it, side by side."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.core.files import plain, write_text
from limbeck.report.data import to_csv
from limbeck.report.latex import to_latex
from limbeck.report.markdown import to_markdown
from limbeck.report.page import to_html
from limbeck.study.analysis.results import StudyResults


def write_report(
    results: StudyResults, folder: str | os.PathLike[str], queries: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write `report.html`, `report.md`, `results.csv`, `table.tex` and `results.json` into `folder`; their paths.

    `queries` are for the page alone, as `limbeck.study.explore` gives them.

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
