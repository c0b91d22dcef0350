from pathlib import Path

import pytest

from limbeck.core.errors import MissingError
from limbeck.core.files import atomic_write


def write(path: Path, content: bytes, interrupted: bool = False) -> None:
    with atomic_write(path) as file:
        file.write(content)
        if interrupted:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["f.txt", "f.gz"])
def test_a_file_that_was_not_finished_leaves_the_old_one_and_nothing_beside_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / "made" / name
    write(path, b"old")
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write(path, b"new", interrupted=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_place_where_no_file_can_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingError, match=r"file/f\.txt: cannot be written: (File exists|Not a directory)"):
        write(tmp_path / "file" / "f.txt", b"new")
