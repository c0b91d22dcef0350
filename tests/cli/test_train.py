"""What options and recipe files of `limbeck train` stand for."""

from pathlib import Path
from typing import Any

import pytest

from limbeck.cli.train import recipe_of
from limbeck.core.errors import UsageError
from limbeck.training.config import Recipe, Settings

NOTHING: dict[str, dict[str, Any]] = {
    "training": {}, "backbone": {}, "stage": {}, "optimizer": {}, "validation": {},
}  # fmt: skip

TWO_STAGES = """
collection: demo/train
backbone: {model: some/model, query_tokens: 32, single_separator: true}
stages:
  - {objective: InfoNCE, lists: a.parquet, sample: {positives: 1, negatives: 7}, steps: 100, learning_rate: 1e-4}
  - {objective: RankNet, lists: b.parquet, epochs: 2, lists_per_step: 4}
optimizer: {schedule: constant, single_pass_tokens: 5}
validation:
  collections: [demo/valid, texts/dev]
  runs: [valid.trec, dev.trec]
  best_so_far: true
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def given(**sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**NOTHING, **sections}


def test_options_alone_make_a_recipe_with_the_declared_defaults() -> None:
    recipe = recipe_of(
        None,
        given(
            training={"collection": "demo/train"},
            backbone={"model": "m"},
            stage={"objective": "BCE", "lists": "a.parquet", "epochs": 1.0},
        ),
    )
    assert recipe.optimizer == Settings()
    assert (recipe.stages[0].sample, recipe.stages[0].steps, recipe.validation) == ("all", None, None)


def test_everything_that_is_missing_is_named_by_its_option() -> None:
    with pytest.raises(UsageError, match=r"^--collection, --backbone, --objective, --lists missing"):
        recipe_of(None, given(stage={"steps": 3}))


def test_a_file_holds_a_whole_recipe_and_options_override_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.parquet", "valid.trec"):
        (tmp_path / name).touch()
    path = write(tmp_path, TWO_STAGES)
    recipe = recipe_of(
        path,
        given(
            training={"seed": 7},
            backbone={"single_separator": False},
            optimizer={"clip": 0.5},
            validation={"every": 10},
        ),
    )
    assert (recipe.seed, recipe.backbone.query_tokens, recipe.backbone.single_separator) == (7, 32, False)
    assert recipe.optimizer == Settings(schedule="constant", max_tokens_without_grad_cache=5, clip=0.5)
    assert [stage.epochs for stage in recipe.stages] == [None, 2]
    assert recipe.validation is not None
    assert (recipe.validation.every, recipe.validation.best_so_far) == (10, True)
    # What is there is found from the folder of the file; what is not is a name, such as one of the Hub.
    assert recipe.stages[0].lists == str(tmp_path / "a.parquet")
    assert (recipe.collection, recipe.backbone.model) == ("demo/train", "some/model")
    assert "optimizer.single_pass_tokens is now called max_tokens_without_grad_cache" in capsys.readouterr().err


def test_a_length_given_as_option_takes_the_place_of_another_kind_of_length(tmp_path: Path) -> None:
    one = TWO_STAGES.replace("  - {objective: RankNet, lists: b.parquet, epochs: 2, lists_per_step: 4}\n", "")
    recipe = recipe_of(write(tmp_path, one), given(stage={"epochs": 3.0, "objective": "BCE"}))
    stage = recipe.stages[0]
    assert (stage.steps, stage.epochs, stage.objective, stage.learning_rate) == (None, 3, "BCE", 1e-4)


def test_options_of_a_stage_are_refused_where_there_are_several(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--learning-rate: .*recipe.yaml has 2 stages; change them there"):
        recipe_of(write(tmp_path, TWO_STAGES), given(stage={"learning_rate": 1.0}))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "epochs: 2",
            "epochs: 2, steps: 3",
            r"recipe.yaml:6: stages\[1\]: the stage has steps and epochs; expected one",
        ),
        ("runs: [valid.trec, dev.trec]", "runs: [valid.trec]", r"validation: validation has 2 collections and 1 runs"),
        (
            "schedule: constant",
            "schedule: cosine",
            r"optimizer.schedule: is \"cosine\"; expected 'linear' or 'constant'",
        ),
        ("query_tokens", "query_token", r"backbone.query_token: is no key .* did you mean \"query_tokens\""),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(tmp_path: Path, old: str, new: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        recipe_of(write(tmp_path, TWO_STAGES.replace(old, new)), NOTHING)


def test_a_recipe_has_no_setting_without_help() -> None:
    from dataclasses import fields

    from limbeck.cli.train import SECTIONS
    from limbeck.core.options import settings_of

    for declaration in [Recipe, *(options.declaration for options in SECTIONS.values())]:
        assert [setting.name for setting in settings_of(declaration)] == [each.name for each in fields(declaration)]
