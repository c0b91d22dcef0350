"""A backbone with exits: one training, and a model of each depth in every table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limbeck.core.errors import UsageError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.study.analysis.gather import gather
from limbeck.study.config.study import load_study
from limbeck.study.plan.plan import plan_study
from limbeck.study.rehearsal.prepare import prepare
from limbeck.study.run.execute import run_study
from limbeck.study.run.preview import preview

Write = Callable[..., Path]


@pytest.fixture
def shallow(tiny: dict[str, Any]) -> dict[str, Any]:
    """The small study with both layers of its backbone, and an exit behind the first."""
    tiny["backbones"] = {"bert": {"model": "./bert", "exits": [1], "max_length": 20, "learning_rate": 0.001}}
    tiny["evaluation"]["margin"] = 0.05
    return tiny


def test_an_exit_is_a_backbone_of_the_study_and_trained_with_the_one_it_is_of(
    shallow: dict[str, Any], study_file: Write, tmp_path: Path
) -> None:
    study = load_study(study_file(shallow))
    assert run_study(study, tmp_path / "out") == {"kept": 0, "done": 8, "failed": 0, "elsewhere": 0}
    results = gather(tmp_path / "out")
    assert [(each.name, each.layers) for each in results.backbones] == [("bert", 2), ("bert@1", 1)]
    cells = {(cell.backbone, cell.recipe, cell.seed): cell for cell in results.cells}
    assert len({cell.id for cell in results.cells}) == 8
    for (backbone, recipe, seed), cell in cells.items():
        folder = tmp_path / "out" / "cells" / cell.id
        assert cell.training is not None
        if backbone == "bert":
            assert [each.layers for each in cell.training.exits] == [1]
            continue
        whole = tmp_path / "out" / "cells" / cells["bert", recipe, seed].id
        assert not (folder / "log.jsonl").exists()  # nothing was trained for it
        weights = "model.safetensors"
        assert (folder / "model" / weights).read_bytes() == (whole / "exits" / "1" / weights).read_bytes()
        assert json.loads((folder / "model" / "config.json").read_text())["num_hidden_layers"] == 1
        assert cell.training.parameters < cells["bert", recipe, seed].training.parameters
        assert cell.values
    pairs = [("copper ether", "flask glass heats"), ("iron", "jar kiln lead")]
    [one] = [cell for key, cell in cells.items() if key == ("bert@1", "BCE", 1)]
    [two] = [cell for key, cell in cells.items() if key == ("bert", "BCE", 1)]
    scores = [CrossEncoder.load(tmp_path / "out" / "cells" / each.id / "model").score(pairs) for each in (one, two)]
    assert not np.allclose(*scores)
    assert {(row.backbone, row.recipe) for row in results.near_best} == {
        (backbone, recipe) for backbone in ("bert", "bert@1") for recipe in ("BCE", "TwoStage")
    }
    assert run_study(study, tmp_path / "out") == {"kept": 8, "done": 0, "failed": 0, "elsewhere": 0}


def test_exits_cost_no_training_and_change_no_key_of_a_study_without_them(
    shallow: dict[str, Any], study_file: Write, tmp_path: Path
) -> None:
    study = load_study(study_file(shallow))
    found = preview(study, tmp_path / "out")
    assert [cell["training"]["pairs"] for cell in found["cells"] if cell["backbone"] == "bert@1"] == [0] * 4
    assert "bert@1" not in found["memory"]
    with_exits = plan_study(study)
    assert not any(with_exits.prefixes(cell) for cell in with_exits.cells)
    del shallow["backbones"]["bert"]["exits"]
    without = plan_study(load_study(study_file(shallow)))
    assert not {cell.id for cell in without.cells} & {cell.id for cell in with_exits.cells}
    assert all("exit" not in str(cell.description["backbone"]) for cell in without.cells)


def test_a_rehearsal_keeps_the_exits(shallow: dict[str, Any], study_file: Write, tmp_path: Path) -> None:
    shallow["backbones"]["bert"]["exits"] = [1]
    small = prepare(load_study(study_file(shallow)), tmp_path / "out")
    assert list(small.config.backbones) == ["bert", "bert@1"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"exits": [2]}, r"backbones.bert.exits: are 2; of 2 layers, expected 1$"),
        ({"exits": [1], "layers": 1}, r"are 1; of 1 layer, expected none: no layer stands before the last"),
        ({"exits": [0]}, r"exits"),
    ],
)
def test_exits_that_cannot_be_are_told_before_anything_is_trained(
    change: dict[str, Any], told: str, shallow: dict[str, Any], study_file: Write
) -> None:
    shallow["backbones"]["bert"] |= change
    with pytest.raises(UsageError, match=told):
        load_study(study_file(shallow))


def test_a_recipe_that_trains_nothing_has_no_exits_and_a_backbone_no_exits_name(
    shallow: dict[str, Any], study_file: Write
) -> None:
    shallow["recipes"]["none"] = []
    with pytest.raises(UsageError, match="exits: are trained, and the recipe none trains nothing"):
        load_study(study_file(shallow))
    del shallow["recipes"]["none"]
    shallow["backbones"]["bert@1"] = {"model": "./bert", "layers": 1, "learning_rate": 0.001}
    with pytest.raises(UsageError, match='"bert@1" is the exit of bert behind layer 1; rename the backbone'):
        load_study(study_file(shallow))
