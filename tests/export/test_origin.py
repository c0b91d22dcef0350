"""The exported model of a study is chosen on validation, never on test."""

import json
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.errors import MissingError, UsageError
from limbeck.export import find_origin

# On test the order is the other way round.
CELLS = {
    ("a", "InfoNCE", 1): (0.30, 0.9),
    ("a", "InfoNCE", 2): (0.90, 0.8),
    ("b", "InfoNCE", 1): (0.70, 0.1),
    ("b", "InfoNCE", 2): (0.65, 0.2),
}


def test_the_best_mean_over_seeds_on_validation_is_chosen_and_of_it_the_best_seed(make_study: Any) -> None:
    origin = find_origin(str(make_study(CELLS)))
    # One lucky seed of "a" is the highest of all; "b" is better on average.
    assert (origin.cell["backbone"], origin.cell["seed"]) == ("b", 1)
    assert origin.chosen == (
        "Chosen on validation, never on test: of 2 combinations of backbone and recipe, b · InfoNCE has the highest "
        "nDCG@10 on mini/valid@1/2 (0.6750, 2 seeds); of its seeds, 1 has the highest (0.7000)."
    )


def test_test_results_have_no_say(make_study: Any) -> None:
    chosen = find_origin(str(make_study(CELLS))).cell["id"]
    other = {known: (best, 1 - test) for known, (best, test) in CELLS.items()}
    assert find_origin(str(make_study(other))).cell["id"] == chosen


def test_a_cell_can_be_named_and_the_card_says_that_it_was(make_study: Any) -> None:
    origin = find_origin(str(make_study(CELLS)), "1")
    assert (origin.cell["backbone"], origin.cell["seed"]) == ("a", 2)
    assert "not chosen by limbeck" in str(origin.chosen)


def test_a_cell_that_is_not_there_is_refused_with_those_that_are(make_study: Any) -> None:
    with pytest.raises(UsageError, match=r"no finished cell begins with 9.*there are 0c \(a · InfoNCE · seed 1\), 1c"):
        find_origin(str(make_study(CELLS)), "9")


@pytest.mark.parametrize(
    ("best", "changes", "why"),
    [
        (None, {"validation": None}, "the study has no validation"),
        (
            0.5,
            {"validation": {"collections": [], "test_queries_allowed": True}},
            "its validation may hold test queries",
        ),
    ],
)
def test_without_a_validation_apart_from_the_tests_nothing_is_chosen(
    make_study: Any, best: float | None, changes: dict[str, Any], why: str
) -> None:
    folder = make_study({known: (best, test) for known, (_, test) in CELLS.items()}, **changes)
    with pytest.raises(UsageError, match=f"{why}.*name one with --cell: 0c"):
        find_origin(str(folder))
    assert find_origin(str(folder), "2c").cell["backbone"] == "b"


def test_unfinished_cells_are_said(make_study: Any) -> None:
    folder = make_study(CELLS)
    (folder / "cells" / "2c" / "summary.json").unlink()
    origin = find_origin(str(folder))
    assert origin.cell["seed"] == 2
    assert "Only 3 of the study's 4 cells were finished." in str(origin.chosen)
    for cell in (folder / "cells").iterdir():
        (cell / "summary.json").unlink(missing_ok=True)
    with pytest.raises(MissingError, match="no cell is finished"):
        find_origin(str(folder))


def test_a_training_is_found_from_its_folder_and_from_its_model(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(MissingError, match="not finished"):
        find_origin(str(tmp_path))
    (tmp_path / "summary.json").write_text(json.dumps({"steps": 3}))
    for source in (tmp_path, tmp_path / "model"):
        origin = find_origin(str(source))
        assert (origin.model, origin.summary) == (str(tmp_path / "model"), {"steps": 3})
    assert find_origin("org/name").summary == {}
    with pytest.raises(UsageError, match="is no study"):
        find_origin(str(tmp_path), "1c")
