"""Writes docs/limbeck.ipynb from docs/python.md, whose examples a test runs: prose to text, examples to cells.

python docs/notebook.py          # writes it; a test holds that it is what this would write
"""

import doctest
import json
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
SETUP = (
    "# In Colab: File, Upload notebook. On a machine that has limbeck already this cell can be left out.\n"
    '%pip install --quiet "limbeck[demo]"'
)


def notebook() -> str:
    """The notebook as JSON (nbformat 4.5)."""
    cells, whole = [_cell("code", SETUP)], True
    for part in doctest.DocTestParser().parse((DOCS / "python.md").read_text(encoding="utf-8")):
        if isinstance(part, doctest.Example):
            source = re.sub(r" *# doctest: .*", "", part.source).rstrip("\n")
            if whole:
                cells.append(_cell("code", source))
            else:
                cells[-1] = _cell("code", "".join(cells[-1]["source"]) + "\n" + source)
            whole = bool(part.want)  # a cell shows what its last line gives
        elif part.strip():
            whole = True
            cells.append(_cell("markdown", re.sub(r"\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", part).strip()))
    cells.insert(0, cells.pop(1))  # title and what it is, before the installation
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": "", "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


if __name__ == "__main__":
    (DOCS / "limbeck.ipynb").write_text(notebook(), encoding="utf-8")
