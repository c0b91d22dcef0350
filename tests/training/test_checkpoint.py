import multiprocessing
import resource
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.models.cross_encoder import CrossEncoder
from limbeck.training import TrainingPlan, loop, train
from limbeck.training.checkpoint import Checkpoint, load_checkpoint, read_checkpoint, save_checkpoint

CPU = torch.device("cpu")
Plan = Callable[..., TrainingPlan]


def checkpoint_of(step: int) -> Checkpoint:
    return Checkpoint({"weights": {"w": torch.full((3,), float(step))}}, {"step": step})


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, checkpoint_of(step))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def damage_contents(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "other bytes": damage_contents,
    "file cut short": lambda folder: (folder / "state.json").write_text(""),
    "file gone": lambda folder: (folder / "weights.safetensors").unlink(),
    "manifest gone": lambda folder: (folder / "manifest.json").unlink(),
    "manifest cut short": lambda folder: (folder / "manifest.json").write_text("{"),
    "manifest of another kind": lambda folder: (folder / "manifest.json").write_text("[]"),
}


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, CPU) == (None, [])
    save(tmp_path, 7)
    found, damaged = load_checkpoint(tmp_path, CPU)
    assert found is not None
    assert (found.state, damaged) == ({"step": 7}, [])
    assert found.tensors["weights"]["w"].tolist() == [7, 7, 7]


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 5, 10, 100, 1000)
    assert names(tmp_path) == ["step-000000100", "step-000001000"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used(damage: str, tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    DAMAGES[damage](tmp_path / "step-000000002")
    found, damaged = load_checkpoint(tmp_path, CPU)
    assert found is not None
    assert found.state == {"step": 1}
    assert len(damaged) == 1
    assert "step-000000002" in damaged[0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_that_was_named_is_an_error(damage: str, tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    DAMAGES[damage](tmp_path / "step-000000002")
    with pytest.raises(DataError, match="step-000000002"):
        read_checkpoint(tmp_path / "step-000000002", CPU)


def test_a_checkpoint_whole_or_damaged_is_not_taken_for_a_model(tmp_path: Path) -> None:
    save(tmp_path, 1)
    for damage in (lambda _: None, damage_contents):
        damage(tmp_path / "step-000000001")
        with pytest.raises(UsageError, match=r"step-000000001: a checkpoint of a training.* the folder `model`"):
            CrossEncoder.load(tmp_path / "step-000000001")


def test_a_checkpoint_that_cannot_be_written_is_named_and_the_one_before_it_kept(tmp_path: Path) -> None:
    save(tmp_path, 1)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))  # bytes of a file
        with pytest.raises(MissingError, match=r"step-000000002: cannot be written: .*File too large"):
            save(tmp_path, 2)

    process = multiprocessing.get_context("fork").Process(target=limited)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    assert names(tmp_path) == ["step-000000001"]
    assert load_checkpoint(tmp_path, CPU)[1] == []


def test_damaged_later_checkpoints_do_not_push_out_the_one_that_training_went_on_to(tmp_path: Path) -> None:
    save(tmp_path, 6, 8)
    for path in tmp_path.iterdir():
        damage_contents(path)
    save(tmp_path, 3)
    found, damaged = load_checkpoint(tmp_path, CPU)
    assert found is not None
    assert (found.state, damaged) == ({"step": 3}, [])


def test_training_says_which_checkpoint_is_damaged_and_ends_as_if_it_were_not(plan: Plan, tmp_path: Path) -> None:
    train(plan(), tmp_path / "straight")
    with pytest.MonkeyPatch.context() as patch:
        real, calls = loop.backward, iter(range(100))

        def backward(*args: object, **options: object) -> object:
            if next(calls) == 8:
                raise RuntimeError("stop")
            return real(*args, **options)  # type: ignore[arg-type]

        patch.setattr(loop, "backward", backward)
        with pytest.raises(RuntimeError, match="stop"):
            train(plan(), tmp_path / "out")
    assert names(tmp_path / "out" / "checkpoints") == ["step-000000006", "step-000000008"]
    damage_contents(tmp_path / "out" / "checkpoints" / "step-000000008")
    said = StringIO()
    train(plan(), tmp_path / "out", Console(file=said, width=400))
    assert "step-000000008" in said.getvalue()
    assert "resumed at step 6 of 11" in said.getvalue()
    ends = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("straight", "out")]
    assert ends[0] == ends[1]


def test_training_says_that_it_begins_anew_where_all_checkpoints_are_damaged(plan: Plan, tmp_path: Path) -> None:
    train(plan(), tmp_path / "straight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "summarise", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(plan(), tmp_path / "out")
    for folder in (tmp_path / "out" / "checkpoints").iterdir():
        damage_contents(folder)
    said = StringIO()
    train(plan(), tmp_path / "out", Console(file=said, width=400))
    assert "step-000000008: weights.safetensors not as written" in said.getvalue()
    assert "going on anew, as there is none before it" in said.getvalue()
    ends = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("straight", "out")]
    assert ends[0] == ends[1]
