"""Folders that are there complete or not at all: written aside, then renamed."""

import ctypes
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from limbeck.errors import LimbeckError, MissingError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@contextmanager
def written_aside(place: Path) -> Iterator[Path]:
    """A new empty folder beside `place`, on the same file system; removed on leaving unless it was renamed.

    Made with the user's own permissions, as `tempfile` would not: what is renamed may be shared.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = _beside(place)
    aside.mkdir()
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remove_left(place: Path) -> None:
    """Remove what killed processes left beside `place`. Only for who knows that no other process writes there now."""
    for path in list(place.parent.iterdir()):
        if path.name.startswith(f".{place.name}.") and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def sync(folder: Path) -> None:
    """Have the files of a folder on disk, so that a power cut after the rename leaves no empty ones behind."""
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def replace_folder(aside: Path, place: Path) -> None:
    """Rename `aside` to `place`; a folder that is there changes places with it, in one step where the system can.

    Where it cannot (other systems than Linux, some network file systems), the old folder steps back first and returns
    if the renaming fails; a process killed between the two leaves it under a hidden name.
    """
    if not place.exists():
        os.replace(aside, place)
        return
    if _exchange(aside, place):
        return
    old = _beside(place)
    os.replace(place, old)
    try:
        os.replace(aside, place)
    except BaseException:
        os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def writing(path: Path, remedy: str = "the same command goes on from it") -> Iterator[None]:
    """Turn what a full disk, or any other that cannot be written, raises into one error that names the path.

    Raises:
        MissingError: with what is to be done.
    """
    try:
        yield
    except LimbeckError:
        raise
    except Exception as error:
        # safetensors and tokenizers, written in Rust, raise classes of their own, or none, with the system's number.
        if not isinstance(error, OSError) and "(os error " not in str(error):
            raise
        reason = getattr(error, "strerror", None) or error
        raise MissingError(
            f"{path}: cannot be written: {reason}. What was complete before is kept; given room there, {remedy}"
        ) from error


def _beside(place: Path) -> Path:
    return place.parent / f".{place.name}.{uuid.uuid4().hex[:12]}"


def _exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step (renameat2, which Python's os lacks); False where that cannot be had."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
