"""Folders that are there complete or not at all: written aside, then renamed."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def sync(folder: Path) -> None:
    """Have the files of a folder on disk, so that a power cut after the rename leaves no empty ones behind."""
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def replace_folder(aside: Path, place: Path) -> None:
    """Rename `aside` to `place`; a folder that is there steps back, and returns if the renaming fails."""
    if not place.exists():
        os.replace(aside, place)
        return
    old = _beside(place)
    os.replace(place, old)
    try:
        os.replace(aside, place)
    except BaseException:
        os.replace(old, place)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(place: Path) -> Path:
    return place.parent / f".{place.name}.{uuid.uuid4().hex[:12]}"
