"""The documentation names files that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/LOG.md"])
def test_files_and_pages_that_are_named_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|studies|benchmarks)/[\w/.-]+\.\w+)", text)
    linked = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text)
    absent = [name for name in named if not (ROOT / name).exists()]
    absent += [name for name in linked if not (ROOT / page).parent.joinpath(name).exists()]
    assert not absent
