"""What is written has its name only when it is complete, and a failure to write is one clear error."""

import multiprocessing
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from limbeck.core import files
from limbeck.core.errors import MissingError
from limbeck.core.files import (
    atomic_write,
    check_output,
    remove_leftovers,
    replace_folder,
    temporary_folder,
    wrap_write_errors,
    write_text,
)


def put(place: Path, text: str) -> None:
    with temporary_folder(place) as folder:
        (folder / "file").write_text(text)
        replace_folder(folder, place)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_another_and_leaves_nothing_beside_it(
    can_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not can_exchange:
        monkeypatch.setattr(files, "exchange", lambda *_: False)
    for text in ("new", "newer", "newest"):
        put(tmp_path / "place", text)
        assert [path.name for path in tmp_path.iterdir()] == ["place"]
        assert (tmp_path / "place" / "file").read_text() == text


def test_a_folder_that_is_replaced_is_there_at_every_moment(tmp_path: Path) -> None:
    place = tmp_path / "place"
    put(place, "0")
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    if not files.exchange(tmp_path / "one", tmp_path / "other"):
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


def test_a_file_is_replaced_when_it_is_complete_and_not_before(tmp_path: Path) -> None:
    place = tmp_path / "folder" / "file"

    def break_off() -> None:
        with atomic_write(place) as stream:
            stream.write(b"newer")
            raise KeyboardInterrupt

    for text in ("old", "new"):
        write_text(place, text)
        assert place.read_bytes() == text.encode()
    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert place.read_text() == "new"
    assert list(place.parent.iterdir()) == [place]


def test_only_what_was_written_aside_for_a_place_is_cleared_away(tmp_path: Path) -> None:
    put(tmp_path / "model", "kept")
    for name in (".model.0123456789ab", ".models.0123456789ab", "model.0123456789ab", ".model.mine"):
        (tmp_path / name).mkdir()
    for name in (".model.lock", ".model.ba9876543210"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "model")
    left = [".model.lock", ".model.mine", ".models.0123456789ab", "model", "model.0123456789ab"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def write_plainly(path: Path) -> None:
    path.write_bytes(bytes(100))


def write_tensors(path: Path) -> None:
    save_file({"w": torch.zeros(100)}, path)


def write_tokenizer(path: Path) -> None:
    Tokenizer(WordLevel({"a": 0}, unk_token="a")).save(str(path))


@pytest.mark.parametrize("write", [write_plainly, write_tensors, write_tokenizer])
def test_what_cannot_be_written_is_named_with_the_cause_and_the_remedy(
    write: Callable[[Path], object], tmp_path: Path
) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))  # bytes of a file
        expected = r"/f: cannot be written: .*File too large.*complete before is kept; given room .*, try again$"
        with pytest.raises(MissingError, match=expected), wrap_write_errors(tmp_path / "f", "try again"):
            write(tmp_path / "f")

    process = multiprocessing.get_context("fork").Process(target=limited)
    process.start()
    process.join(20)
    assert process.exitcode == 0


def test_a_place_where_nothing_can_be_written_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "closed")  # to root nothing is closed
    check_output(tmp_path / "new" / "file")
    for folder in (tmp_path, tmp_path / "new", Path("/")):
        check_output(folder, folder=True)
    for place, is_folder in ((tmp_path / "closed", True), (tmp_path / "closed" / "new" / "file", False)):
        with pytest.raises(MissingError, match=r"no permission to write in .*/closed$"):
            check_output(place, is_folder)
    long = tmp_path / ("x" * 300)
    with pytest.raises(MissingError, match="cannot be written: File name too long"):
        check_output(long)
    with pytest.raises(MissingError, match="cannot be written: File name too long"):
        write_text(long, "")


def test_other_errors_pass_as_they_are() -> None:
    for error in (ValueError("a mistake"), MissingError("out/g: cannot be written: (os error 28)")):
        with pytest.raises(type(error)) as caught, wrap_write_errors(Path("out/f")):
            raise error
        assert caught.value is error
