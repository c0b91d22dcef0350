"""Every example in a public docstring gives what it says."""

import doctest
import importlib
import importlib.util
import json
from pathlib import Path

import pytest

import limbeck

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(limbeck.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.attempted
    assert not results.failed


@pytest.mark.parametrize("page", ["python.md", "compare.md"])
def test_what_the_docs_do_from_python_runs_as_it_stands(page: str) -> None:
    results = doctest.testfile(str(ROOT / "docs" / page), module_relative=False)
    assert results.attempted > 4
    assert not results.failed


def test_the_notebook_is_what_the_workflow_of_the_docs_makes() -> None:
    spec = importlib.util.spec_from_file_location("notebook", ROOT / "docs" / "notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "limbeck.ipynb").read_text(encoding="utf-8")
    assert written == module.notebook(), "docs/python.md was changed: python docs/notebook.py"
    code = ["".join(cell["source"]) for cell in json.loads(written)["cells"] if cell["cell_type"] == "code"]
    assert "%pip install" in code[0]
    for cell in code[1:]:
        compile(cell, "cell", "exec")
