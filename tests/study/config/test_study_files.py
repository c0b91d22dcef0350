"""Every file in studies/ is a valid study but for what must be fetched or brought, and is one once that is there."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import ir_datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from limbeck.lists import Lists, write_lists
from limbeck.study.config.study import StudyError, load_study

FILES = sorted((Path(__file__).parents[3] / "studies").glob("*.yaml"))
TO_FETCH = ("no such file in", "its documents are under a licence", "is no folder here, and ir_datasets has no")
"""What `study check` may say of a published study on a machine where nothing was fetched."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_study_file_lacks_only_what_must_be_fetched_or_brought(file: Path) -> None:
    try:
        load_study(file)
    except StudyError as error:
        others = [problem for problem in error.problems if not any(words in problem for words in TO_FETCH)]
        assert not others, "\n".join(others)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_study_file_is_valid_once_its_files_are_there(
    file: Path, laboratory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each list file stands for itself by two lists in its published format."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "ir_datasets"))
    monkeypatch.setattr(ir_datasets.util, "home_path", lambda: tmp_path / "ir_datasets")
    (tmp_path / "ir_datasets" / "disks45" / "corpus").mkdir(parents=True)
    copy = Path(shutil.copy(file, tmp_path / file.name))
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name in (values["collections"].get("train"), values["collections"]["test"]):
        if isinstance(name, str) and name.startswith("my-"):
            shutil.copytree(laboratory / "mini", tmp_path / name, dirs_exist_ok=True)
    for source in values.get("lists", {}).values():
        for path in [source["path"]] if isinstance(source.get("path"), str) else list(source.get("path", {}).values()):
            stand_in = tmp_path / path
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            WRITE[source["format"]](stand_in)
    study = load_study(copy)
    assert study.name == file.stem


@pytest.mark.parametrize("file", [file for file in FILES if file.stem != "demo"], ids=lambda file: file.stem)
def test_a_study_file_says_what_to_expect_and_how_many_cells_it_has(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    head = text.partition("\nname:")[0]
    assert re.search("[Ee]xpect|published", head)
    study = load_study(file, with_files=False).config
    cells = len(study.backbones) * sum(len(study.seeds_of(recipe)) for recipe in study.recipes)
    assert re.search(rf"\b{cells} cells", head)


def _lines(*lines: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text("".join(f"{line}\n" for line in lines))

    return write


def _ranked(path: Path) -> None:
    if path.suffix == ".parquet":
        columns = {"qid": ["1", "1"], "docno": ["7", "8"], "score": [2.0, 1.0], "rank": [1, 2]}
        pq.write_table(pa.table(columns), path)
    else:
        _lines("1 Q0 7 1 2.0 x", "1 Q0 8 2 1.0 x")(path)


def _triples(path: Path) -> None:
    path.write_bytes((gzip.compress if path.suffix == ".gz" else bytes)(b"1\t7\t8\n2\t9\t7\n"))


def _ready(path: Path) -> None:
    values = [np.array([1.0, 0.0])]
    write_lists(Lists(["q0"], [["d1", "d2"]], values, values, values), path)


WRITE: dict[str, Callable[[Path], None]] = {
    "hofstaetter": _lines("2.5\t-1.5\t1\t7\t8", "3.5\t0.5\t2\t9\t7"),
    "rank-distillm": _ranked,
    "run": _ranked,
    "triples": _triples,
    "limbeck": _ready,
}
"""Format → how to write a small file of it."""
