"""Whose an output folder is, and what becomes of files there that are gone, changed or damaged."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from limbeck.collections import Collection
from limbeck.collections.collection import merge
from limbeck.core.errors import DataError, LimbeckError, UsageError
from limbeck.core.files import locked
from limbeck.lists import TEXTS_KEY, Lists
from limbeck.training import Backbone, TrainingPlan, loop, train
from limbeck.training.log import read_log

Plan = Callable[..., TrainingPlan]


@pytest.fixture
def short(plan: Plan) -> Plan:
    """The small plan's first stage, without validation."""
    return lambda **changes: plan(**{"stages": plan().stages[:1], "validation": None, **changes})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_training_into_one_folder_is_refused_by_the_holder_and_touches_nothing(
    short: Plan, tmp_path: Path
) -> None:
    (tmp_path / "log.jsonl").write_text('{"kind": "step", "step": 1}\n')
    with locked(tmp_path / ".lock") as mine:
        assert mine
        before = files(tmp_path)
        with pytest.raises(UsageError, match=rf"process {os.getpid()} on .*, since 20.*, is training there; wait"):
            train(short(), tmp_path)
        assert files(tmp_path) == before


def test_a_start_that_failed_before_its_first_step_does_not_claim_the_folder(
    short: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LimbeckError):
        train(short(backbone=Backbone(model=str(tmp_path / "absent"))), tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "backward", lambda *_, **__: 1 / 0)  # as memory that is too small would
        with pytest.raises(ZeroDivisionError):
            train(short(seed=5), tmp_path / "out")
    left = [tmp_path / "out" / f".{name}.0123456789ab" for name in ("plan.json", "summary.json", "model")]
    for path in left:
        path.touch()  # as of a process killed while it wrote them
    assert train(short(), tmp_path / "out")["steps"] == 6
    assert not any(path.exists() for path in left)
    with pytest.raises(UsageError, match="other seed"):
        train(short(seed=5), tmp_path / "out")


def test_a_finished_model_that_is_gone_is_trained_again_to_the_same_bytes(short: Plan, tmp_path: Path) -> None:
    train(short(), tmp_path)
    model = tmp_path / "model"
    weights, tokenizer = model / "model.safetensors", model / "tokenizer.json"
    before = weights.read_bytes()
    for name, remove in (
        (weights.name, weights.unlink),
        (weights.name, lambda: shutil.rmtree(model)),
        (tokenizer.name, tokenizer.unlink),
    ):
        remove()
        said = StringIO()
        train(short(), tmp_path, Console(file=said, width=400))
        assert f"model: {name} is gone since the training was finished; it is trained again" in said.getvalue()
        assert weights.read_bytes() == before
        assert tokenizer.is_file()
        assert [record["step"] for record in read_log(tmp_path / "log.jsonl")] == [1, 2, 3, 4, 5, 6]


def test_what_is_no_model_where_the_model_is_to_be_is_refused_before_a_step(short: Plan, tmp_path: Path) -> None:
    train(short(), tmp_path)
    shutil.rmtree(tmp_path / "model")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.tex").touch()
    before = files(tmp_path / "model"), (tmp_path / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match="model: is not a model that could be replaced"):
        train(short(), tmp_path)
    assert (files(tmp_path / "model"), (tmp_path / "log.jsonl").read_bytes()) == before


def test_the_folder_of_an_exit_s_model_is_looked_after_as_the_model_s_is(
    short: Plan, deeper: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    plan = short(backbone=Backbone(model=str(deeper), exits=(1,), max_length=28))
    left, place = output / "exits" / ".1.0123456789ab", output / "exits" / "1"
    left.mkdir(parents=True)  # as of a process killed while it wrote the exit's model
    train(plan, output)
    assert not left.exists()
    before = files(place)
    (place / "model.safetensors").unlink()
    said = StringIO()
    train(plan, output, Console(file=said, width=400))
    assert "1: model.safetensors is gone since the training was finished; it is trained again" in said.getvalue()
    assert files(place) == before
    shutil.rmtree(place)
    place.mkdir()
    (place / "thesis.tex").touch()
    log = (output / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match="1: is not a model that could be replaced"):
        train(plan, output)
    assert (output / "log.jsonl").read_bytes() == log


def test_a_finished_model_that_was_changed_is_an_error(short: Plan, tmp_path: Path) -> None:
    train(short(), tmp_path)
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(DataError, match=r"model: its weights are not those that the training ended with .* remove"):
        train(short(), tmp_path)
    (tmp_path / "summary.json").unlink()
    assert train(short(), tmp_path)["steps"] == 6


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("summary.json", b'{"steps": 3', r"summary\.json:1: not JSON"),
        ("summary.json", b'{"steps": "3"}', r"summary\.json: steps: Input should be a valid integer"),
        ("summary.json", b"\xff", r"summary\.json:1: not UTF-8"),
        ("plan.json", b"\n{]", r"plan\.json:2: not JSON"),
        ("plan.json", b"[]", r"plan\.json: an array, expected an object"),
        ("plan.json", b'{"a": ' + b"[" * 500, r"plan\.json.*: "),
        ("log.jsonl", b'{"kind": "step", "step": 1}\n{"kind"\n', r"log\.jsonl:2: not JSON"),
        ("summary.json", b"[]", r"summary\.json.* Input should be an object"),
        ("log.jsonl", b'{"kind": "step"}\n', r'log\.jsonl:1: "step" is missing'),
        (
            "log.jsonl",
            b'{"kind": "step", "step": 1' + b"0" * 400 + b"}\n",
            r"log\.jsonl:1: a whole number of 401 digits",
        ),
        ("log.jsonl", b"\xff\n", r"log\.jsonl:1: not UTF-8"),
    ],
)
def test_a_damaged_file_is_one_error_with_its_place(
    name: str, content: bytes, place: str, short: Plan, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=place) as caught:
        train(short(), tmp_path)
    assert any(remedy in str(caught.value) for remedy in ("remove", "put it right"))
    assert (tmp_path / name).read_bytes() == content


def test_lists_of_other_texts_are_refused(short: Plan, lists: Lists, collection: Collection) -> None:
    def plan_with(fingerprint: str, trained_on: Collection) -> TrainingPlan:
        made: Any = replace(lists, metadata={TEXTS_KEY: fingerprint, "collection": "made"})
        return short(stages=(replace(short().stages[0], lists=made),), collection=trained_on)

    same = collection.texts_fingerprint
    other = replace(collection, documents={docid: text + " x" for docid, text in collection.documents.items()})
    with pytest.raises(UsageError, match=r"with the texts of made .* and small has others"):
        plan_with(same, other)
    extra = replace(collection, documents={"e1": "text"}, queries={"e": "query"})
    for known in (same, f"{same} + {extra.texts_fingerprint}", f"{same} + -"):
        plan_with(known, merge([collection, extra]))
    other_split = replace(collection, query_ids=("q1",), qrels={})
    plan_with(same, other_split)


def test_the_digest_in_the_summary_is_that_of_the_weights(short: Plan, tmp_path: Path) -> None:
    import hashlib

    summary = train(short(), tmp_path)
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    digest = hashlib.sha256((tmp_path / "model" / "model.safetensors").read_bytes()).hexdigest()
    assert summary["weights_sha256"] == digest
