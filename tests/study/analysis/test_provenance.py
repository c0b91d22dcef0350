"""Every number of a report can be traced to a file and computed again."""

import contextlib
import getpass
import hashlib
import io
import json
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from limbeck.core.environment import unnamed
from limbeck.report import write_report
from limbeck.study.analysis.gather import gather
from limbeck.study.analysis.provenance import RECOMPUTE, provenance, write_values
from limbeck.study.run.store import Store


@pytest.fixture(scope="module")
def report(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(gather(finished), folder)
    write_values(finished, folder / "results.parquet")
    return folder


@pytest.fixture(scope="module")
def traced(finished: Path) -> dict[str, Any]:
    return provenance(finished)


def test_all_means_of_the_report_are_those_of_the_tidy_table(report: Path) -> None:
    rows = pq.read_table(report / "results.parquet").to_pylist()
    results = json.loads((report / "results.json").read_text())

    def mean(**wanted: Any) -> float:
        found = [row["value"] for row in rows if all(row[key] == value for key, value in wanted.items())]
        assert len(found) == 4 * (1 if "seed" in wanted else 2)
        return float(np.mean(found))

    checked = 0
    for row in results["comparisons"]:
        known = {key: row[key] for key in ("backbone", "recipe", "collection", "measure")}
        assert mean(**known) == pytest.approx(row["mean"], abs=1e-12)
        checked += 1
    shared = {"kind": "first stage", "recipe": "bm25", "seed": None}
    for found, known in [
        (results["first_stage"], shared),
        (results["teachers"][0], {**shared, "kind": "teacher", "recipe": "bert"}),
        *((cell, {"cell": cell["id"], "seed": cell["seed"]}) for cell in results["cells"]),
    ]:
        for collection, values in found["values"].items():
            for measure, value in values.items():
                assert mean(**known, collection=collection, measure=measure) == pytest.approx(value, abs=1e-12)
                checked += 1
    assert checked == 4 + 2 * 2 + 4 * 2
    assert len(rows) == 4 * 2 * (2 + 4)  # queries × measures × (first stage, teacher and cells)


def test_the_lines_that_recompute_do(report: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(report)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(RECOMPUTE, {})
    rows = eval(printed.getvalue())
    results = json.loads((report / "results.json").read_text())
    means = {(row["recipe"], row["measure"]): row["value_mean"] for row in rows if row["kind"] == "recipe"}
    assert means == pytest.approx({(row["recipe"], row["measure"]): row["mean"] for row in results["comparisons"]})


def test_every_value_names_the_file_that_it_stands_in(report: Path, finished: Path) -> None:
    for row in pq.read_table(report / "results.parquet").to_pylist():
        kept = json.loads((finished / row["file"]).read_text())
        assert kept["values"][row["measure"]][row["query"]] == row["value"]
        assert row["cell"] is None or row["cell"] in row["file"]


def test_the_tidy_table_has_equal_bytes_for_equal_values(report: Path, finished: Path, tmp_path: Path) -> None:
    write_values(finished, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (report / "results.parquet").read_bytes()


def test_all_files_behind_the_numbers_are_there_with_their_hashes(traced: dict[str, Any], finished: Path) -> None:
    for path, digest in traced["files"].items():
        assert hashlib.sha256((finished / path).read_bytes()).hexdigest() == digest
    index = Store(finished).read_index()
    assert len(traced["cells"]) == len(index["cells"]) == 4
    for cell in traced["cells"]:
        model = [path for path in cell["files"] if path.endswith("model/model.safetensors")]
        runs = [path for path in cell["files"] if path.endswith("run.gz")]
        assert (len(model), len(runs)) == (1, 1)
        assert set(cell["files"]) <= set(traced["files"])
        assert cell["description"]["seed"] == cell["seed"]
    assert "study.yaml" in traced["files"]
    assert sum(path.startswith("shared/lists/") for path in traced["files"]) == 2
    assert sum(path.startswith("shared/runs/") for path in traced["files"]) == 3  # train, valid, test
    parts = {part: [one["name"] for one in found] for part, found in traced["collections"].items()}
    assert parts == {"training": ["mini/train"], "validation": ["mini/valid"], "test": ["mini/test"]}
    assert len({one["qrels"] for found in traced["collections"].values() for one in found}) == 3


def test_a_file_that_has_changed_is_read_again(finished: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished, tmp_path / "out"))
    before = provenance(output)["files"]
    study = output / "study.yaml"
    study.write_text(study.read_text() + "# changed\n")
    after = provenance(output)["files"]
    assert after["study.yaml"] == hashlib.sha256(study.read_bytes()).hexdigest()
    assert {name for name in after if after[name] != before[name]} == {"study.yaml"}


def test_the_call_that_ran_the_study_is_known(traced: dict[str, Any]) -> None:
    [call] = traced["invocations"]
    assert set(call["cells"].values()) == {"done"}
    assert set(call["cells"]) == {cell["id"] for cell in traced["cells"]}
    assert call["began"] <= call["last"]
    assert {"limbeck", "python", "torch", "transformers", "ir_measures"} <= set(call["versions"])
    assert call["machine"]["memory_gib"] > 0
    assert call["machine"]["threads"] >= 1
    assert call["command"]


def test_a_call_that_finds_all_done_leaves_no_record(finished: Path, laboratory: Path) -> None:
    from limbeck.study.config.study import load_study
    from limbeck.study.run.execute import run_study

    run_study(load_study(laboratory / "tiny.yaml"), finished)
    assert len(list(Store(finished).invocations.iterdir())) == 1


def test_a_study_without_records_of_its_calls_is_traced_too(finished: Path, tmp_path: Path) -> None:
    output = Path(shutil.copytree(finished, tmp_path / "out"))
    shutil.rmtree(output / "invocations")
    assert provenance(output)["invocations"] == []


def test_neither_user_nor_host_is_named(traced: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert platform.node() not in json.dumps(traced["invocations"])
    monkeypatch.setenv("LOGNAME", "kim")
    monkeypatch.setenv("HOME", "/home/kim")
    assert getpass.getuser() == "kim"
    told = unnamed({"command": ["limbeck study run /home/kim/a.yaml --output /scratch/kim/out"], "n": 3})
    assert told == {"command": ["limbeck study run ~/a.yaml --output /scratch/USER/out"], "n": 3}
    assert unnamed("/data/kimono /home/kim2/x") == "/data/kimono /home/kim2/x"
