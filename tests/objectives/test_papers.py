"""docs/papers.md: objective → paper and equation → file → test."""

from pathlib import Path

import pytest

from limbeck.objectives import names
from limbeck.objectives.grammar import classes

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]


def test_every_objective_has_one_row():
    assert sorted(row[0] for row in ROWS) == sorted(names())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_named_file_holds_the_objective_and_the_named_test_exists(row):
    name, paper, file, test = row
    cls = classes()[name]
    assert file == f"src/{cls.__module__.replace('.', '/')}.py"
    assert (ROOT / file).is_file()
    path, _, function = test.partition("::")
    assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8")
    source = " ".join(cls.__doc__.split())
    assert paper.split("(")[0].split(",")[0].split()[0] in source
