"""Every example in a public docstring gives what it says."""

import doctest
import importlib
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
