"""A kind of teacher is one file: what is declared there is a verb, its options, and a section of a study."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from limbeck.cli import teach
from limbeck.collections import load_collection
from limbeck.core.options import settings_of
from limbeck.lists import read_lists
from limbeck.study.config.derived_sections import teacher_section
from limbeck.teachers import kinds

TOY = '''
"""The kind `counted`: the more often a passage has a word, the better."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from limbeck.core.options import Doc, Rate, check_settings
from limbeck.teachers.kinds import Taught


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Count a word in passages."""

    gives: ClassVar[str] = "scores"
    keeps: ClassVar[str] = "embeddings"

    model: Annotated[str, Doc("The word.")]
    worth: Annotated[Rate, Doc("What each is worth.")] = 1.0

    def __post_init__(self):
        check_settings(self)

    models = ()

    def describe(self, names):
        return {"word": self.model, "worth": self.worth}

    def teach(self, collection, candidates, place):
        counts = {
            query_id: np.array([collection.documents[docid].count(self.model) * self.worth for docid in ranking.docids])
            for query_id, ranking in candidates.items()
        }
        return Taught(f"count of {self.model}", counts, {"worth": str(self.worth)})


TEACHERS = {"counted": Counted}
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "counted.py").write_text(TOY)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path / "kinds")])


def test_one_file_more_is_a_verb_and_a_section(toy: None, here: Path, limbeck) -> None:
    limbeck("retrieve", "bm25", "--collection", "mini/train", "--depth", 6, "--output", "train.run")
    app = typer.Typer()
    teach.add_to(app)
    words = ["--collection", "mini/train", "--run", "train.run", "--output", "l.parquet"]
    run = CliRunner().invoke(app, ["teach", "counted", "--model", "copper", "--worth", "2", *words])
    assert run.exit_code == 0, run.output
    lists, documents = read_lists(here / "l.parquet"), load_collection("mini/train").documents
    assert lists.metadata["teacher"] == "count of copper"
    for row in map(lists.__getitem__, range(len(lists))):
        assert row.teacher_scores.tolist() == [2 * documents[docid].count("copper") for docid in row.passage_ids]
    section = teacher_section().model_validate({"counted": "copper", "worth": 3})
    assert section.kinds == ["counted"]
    assert section.declared.describe(kinds.AsGiven()) == {"word": "copper", "worth": 3}


@pytest.mark.parametrize("kind", sorted(kinds.teacher_kinds()))
def test_every_setting_of_a_teacher_is_an_option_and_a_key_of_a_study(kind: str) -> None:
    app = typer.Typer()
    teach.add_to(app)
    verb = typer.main.get_command(app).commands["teach"].commands[kind]
    settings = {setting.name for setting in settings_of(kinds.teacher_kinds()[kind])}
    assert settings <= {option.name for option in verb.params}
    assert (settings - {"model"}) | {kind} <= set(teacher_section().model_fields)
