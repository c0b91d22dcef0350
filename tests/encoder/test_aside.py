"""What is written has its name only when it is complete, and a failure to write is one clear error."""

import os
from pathlib import Path

import pytest

from limbeck.encoder import aside
from limbeck.encoder.aside import remove_left, replace_folder, writing, written_aside
from limbeck.errors import MissingError


def put(place: Path, text: str) -> None:
    with written_aside(place) as folder:
        (folder / "file").write_text(text)
        replace_folder(folder, place)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_another_and_leaves_nothing_beside_it(
    can_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(aside, "_exchange", lambda *_: False)
    for text in ("new", "newer", "newest"):
        put(tmp_path / "place", text)
        assert [path.name for path in tmp_path.iterdir()] == ["place"]
        assert (tmp_path / "place" / "file").read_text() == text


def test_a_folder_that_is_replaced_is_there_at_every_moment(tmp_path: Path) -> None:
    place = tmp_path / "place"
    put(place, "0")
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    if not aside._exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system cannot let two folders change places in one step")
    reader = os.fork()
    if not reader:
        missing = 0
        while not (tmp_path / "stop").exists():
            missing += not place.is_dir()
        os._exit(min(missing, 1))
    for number in range(300):
        put(place, str(number))
    (tmp_path / "stop").touch()
    assert os.waitpid(reader, 0)[1] == 0


def test_only_what_was_written_aside_for_a_place_is_cleared_away(tmp_path: Path) -> None:
    put(tmp_path / "model", "kept")
    for name in (".model.0123", ".model.4567", ".models.0123", "model.0123"):
        (tmp_path / name).mkdir()
    (tmp_path / ".model.lock").touch()
    remove_left(tmp_path / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.lock", ".models.0123", "model", "model.0123"]


def test_what_cannot_be_written_is_named_with_the_cause_and_the_remedy(tmp_path: Path) -> None:
    with (
        pytest.raises(MissingError, match=r"out/f: cannot be written: No space left .* given room there, try again$"),
        writing(Path("out/f"), "try again"),
        open("/dev/full", "w") as full,
    ):
        full.write("x")
