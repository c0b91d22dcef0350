"""Checkpoints: safetensors and JSON, written aside, checksummed, renamed when complete. Never pickle."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from limbeck.core.errors import DataError, MissingError, UsageError
from limbeck.core.files import (
    check_fence,
    lock_holder,
    locked,
    remove_leftovers,
    replace_folder,
    wrap_write_errors,
    write_json,
)
from limbeck.core.json_files import read_json
from limbeck.training.plan import TrainingPlan
from limbeck.training.summary import SUMMARY, model_folders


def check_output_dir(output: Path, plan: TrainingPlan) -> None:
    """Refuse a folder that another plan has begun to fill.

    Raises:
        UsageError: it belongs to another plan, or to something else.
        DataError: its plan.json is damaged.
    """
    path, described = output / PLAN, json.loads(json.dumps(plan.describe()))
    if path.exists():
        found = read_json(path, dict, f"remove {output} to train anew")
        different = [key for key in described if found.get(key) != described[key]]
        if different:
            raise UsageError(
                f"{output} holds a training with other {', '.join(different)}; "
                "give another --output, or remove that folder to train anew"
            )
    elif any(output.glob("checkpoints/*")) or (output / "model").exists():
        raise UsageError(f"{output} is not empty and has no plan.json; give another --output")


def claim_output_dir(output: Path, plan: TrainingPlan) -> None:
    """Write down whose folder it is. From then on only the same plan may train there."""
    if not (output / PLAN).exists():
        write_json(output / PLAN, plan.describe())


@contextmanager
def hold_output_dir(output: Path, plan: TrainingPlan) -> Iterator[None]:
    """Let one training at a time write into a folder, without what a killed one left half written there.

    Raises:
        UsageError: another process is training there.
    """
    lock = output / ".lock"
    with locked(lock, leased=True) as mine:
        if not mine:
            raise UsageError(f"{output}: {lock_holder(lock)}, is training there; wait for it, or give another --output")
        for place in (*model_folders(output, plan.backbone.exits), output / SUMMARY, output / PLAN):
            remove_leftovers(place)
        yield


PLAN = "plan.json"
KEPT = 2  # the newest and, should it be damaged, the one before it


@dataclass(frozen=True)
class Checkpoint:
    """A complete state of training: named groups of tensors, and plain JSON values."""

    tensors: Mapping[str, Mapping[str, torch.Tensor]]
    state: dict[str, Any]


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint of a step under `folder` and drop all but the newest two.

    The manifest with every file's checksum is written last, each file and the folder are flushed to disk, and only then
    the folder gets its name: killed at any moment, a folder with that name is complete.

    Raises:
        MissingError: it cannot be written, as on a full disk; older checkpoints are as they were.
    """
    target = folder / f"step-{step:09d}"
    check_fence()
    # A name of its own: a process that was stopped for too long, and goes on, must not write among another's files.
    aside = folder / f".{target.name}.{uuid.uuid4().hex[:12]}"
    try:
        with wrap_write_errors(target):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(".step-*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            aside.mkdir()
            _write(checkpoint, aside)
            replace_folder(aside, target)
            _flush(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    # One of a later step is damaged: training went on from before it.
    kept = [path for path in _written(folder) if path <= target][-KEPT:]
    for path in _written(folder):
        if path not in kept:
            shutil.rmtree(path)
    return target


def _write(checkpoint: Checkpoint, folder: Path) -> None:
    for group, tensors in checkpoint.tensors.items():
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / f"{group}.safetensors")
    (folder / "state.json").write_text(json.dumps(checkpoint.state, sort_keys=True))
    manifest = {file.name: _digest(file) for file in sorted(folder.iterdir())}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    for file in folder.iterdir():
        _flush(file)
    _flush(folder)


def load_checkpoint(folder: Path, device: torch.device) -> tuple[Checkpoint | None, list[str]]:
    """The newest intact checkpoint under `folder`, or None; and one sentence for each newer one that is damaged."""
    damaged: list[str] = []
    for path in reversed(_written(folder)):
        try:
            return read_checkpoint(path, device), damaged
        except DataError as error:
            damaged.append(str(error))
    return None, damaged


def checkpoint_to_resume(
    output: Path, prefixes: Mapping[int, Path], device: torch.device
) -> tuple[Checkpoint | None, list[str]]:
    """What the training of a folder goes on from: its own newest checkpoint, or what another left at a shared prefix.

    Args:
        prefixes: number of stages → folder of the state after so many; the log up to there is taken over with it.

    Returns:
        It, or None; and one sentence for each newer one that is damaged.
    """
    checkpoint, damaged = load_checkpoint(output / "checkpoints", device)
    for number in sorted(prefixes, reverse=True):
        folder = prefixes[number]
        if checkpoint is None and folder.exists():
            checkpoint, more = load_checkpoint(folder, device)
            damaged += more
            if checkpoint is None:
                shutil.rmtree(folder)  # so that it is left anew
            else:
                shutil.copyfile(folder / "log.jsonl", output / "log.jsonl")
    return checkpoint, damaged


def read_checkpoint(path: Path, device: torch.device) -> Checkpoint:
    """One checkpoint. DataError, which names it, if it is not as it was written."""
    try:
        manifest = read_json(path / "manifest.json", {"state.json": str, ...: str}, "the checkpoint is damaged")
        wrong = [name for name, digest in manifest.items() if _digest(path / name) != digest]
        if wrong:
            raise DataError(f"{path}: {', '.join(wrong)} not as written (checksum differs)")
        tensors = {
            name.removesuffix(".safetensors"): load_file(path / name, device=str(device))
            for name in manifest
            if name.endswith(".safetensors")
        }
        return Checkpoint(tensors, read_json(path / "state.json", dict, "the checkpoint is damaged"))
    except MissingError as error:
        raise DataError(str(error)) from error
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(f"{path}: damaged checkpoint ({error})") from error


def _written(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
