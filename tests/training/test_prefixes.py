"""Trainings that begin alike: what one leaves behind at the end of a stage, another goes on from."""

from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

import limbeck.training.loop as loop
from limbeck.lists import Lists, Sample
from limbeck.objectives import parse
from limbeck.training import Stage, TrainingPlan, train
from limbeck.training.checkpoint import load_checkpoint

Plan = Callable[..., TrainingPlan]


def trained(plan: TrainingPlan, output: Path, prefixes: Mapping[int, Path] | None = None) -> tuple[bytes, list[str]]:
    """The trained weights, and the log without times."""
    train(plan, output, prefixes=prefixes)
    log = [line.split(', "seconds"')[0] for line in (output / "log.jsonl").read_text().splitlines()]
    return (output / "model" / "model.safetensors").read_bytes(), log


def other_end(plan: TrainingPlan, lists: Lists) -> tuple[Stage, ...]:
    """The plan's first stage and another second one."""
    return (
        plan.stages[0],
        Stage(objective=parse("ADR-MSE"), lists=lists, sample=Sample(), steps=4, lists_per_step=2, learning_rate=0.01),
    )


def test_a_training_that_goes_on_from_anothers_first_stage_ends_with_the_same_bytes(
    plan: Plan, lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = plan(), plan(stages=other_end(plan(), lists))
    straight = trained(second, tmp_path / "straight")
    alone = trained(first, tmp_path / "alone")
    prefixes = {1: tmp_path / "shared" / "begun"}
    assert trained(first, tmp_path / "first", prefixes) == alone
    steps, real = [], loop.backward

    def backward(*args: object, **options: object) -> object:
        steps.append(1)
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "backward", backward)
    assert trained(second, tmp_path / "second", prefixes) == straight
    assert len(steps) == 4


def test_the_end_of_the_whole_training_may_be_anothers_beginning(plan: Plan, tmp_path: Path) -> None:
    whole = plan()
    straight = trained(whole, tmp_path / "straight")
    prefixes = {1: tmp_path / "begun"}
    short = trained(whole.prefix(1), tmp_path / "short", prefixes)
    assert trained(whole, tmp_path / "long", prefixes) == straight
    assert straight[1][: len(short[1])] == short[1]


def test_a_damaged_beginning_is_named_and_made_anew(plan: Plan, tmp_path: Path) -> None:
    straight = trained(plan(), tmp_path / "straight")
    prefixes = {1: tmp_path / "begun"}
    train(plan().prefix(1), tmp_path / "short", prefixes=prefixes)
    [checkpoint] = (tmp_path / "begun").glob("step-*")
    (checkpoint / "weights.safetensors").write_bytes(b"not weights")
    said = StringIO()
    train(plan(), tmp_path / "long", Console(file=said, width=400), prefixes)
    assert f"{checkpoint.name}: weights.safetensors not as written" in said.getvalue()
    assert (tmp_path / "long" / "model" / "model.safetensors").read_bytes() == straight[0]
    assert load_checkpoint(tmp_path / "begun", torch.device("cpu"))[1] == []
