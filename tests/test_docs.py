"""The documentation names files that are there, and commands that parse."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from limbeck.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
SHOWN = [page for page in [*PAGES, "studies/README.md", "CHANGELOG.md"] if page != "docs/LOG.md"]  # it keeps old names
LIMBECK = typer.main.get_command(app)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/LOG.md"])
def test_files_and_pages_that_are_named_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|studies|benchmarks)/[\w/.-]+\.\w+)", text)
    linked = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text)
    absent = [name for name in named if not (ROOT / name).exists()]
    absent += [name for name in linked if not (ROOT / page).parent.joinpath(name).exists()]
    assert not absent


def printed_commands(page: str) -> Iterator[tuple[str, bool]]:
    """Each `limbeck …` of a page, and whether it stands as a command in a block of code; else it is named in a text."""
    page = re.sub(r"^```console\n.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)  # these are run
    text = re.sub(r"\s*\\\n\s*", " ", page)
    blocks = re.findall(r"^```.*?^```|^(?: {4}[^\n]*\n)+", text, flags=re.MULTILINE | re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        for command in re.findall(r"(?:^|(?<!import)[\s/])limbeck ([a-z-][^;|#)]*)", line):
            yield command, True
    for block in blocks:
        text = text.replace(block, "")
    for command in re.findall(r"`limbeck\s([a-z-][^`]*)`", text):
        yield command.replace("\n", " "), False


def what_is_wrong(command: str, whole: bool) -> str | None:
    """Why the command line does not take a command; None where it does. Nothing is executed."""
    words = shlex.split(command.partition(" …")[0].replace("[", "").replace("]", ""))
    whole = whole and "…" not in command
    at: Any = LIMBECK
    context = at.context_class(at, info_name="limbeck")
    while words and hasattr(at, "list_commands") and not words[0].startswith("-"):
        name, *words = words
        if (below := at.get_command(context, name)) is None:
            return f"no such verb: {name}"
        at, context = below, below.context_class(below, info_name=name, parent=context)
    try:
        given, rest, _ = at.make_parser(context).parse_args(words)
    except Exception as error:  # click's, or those of typer's copy of it
        return str(error) if whole or "No such option" in str(error) else None
    if not whole or given.get("help"):
        return None
    if hasattr(at, "list_commands"):
        return None if given.get("version") else "a verb is missing"
    lacking = [one.name for one in at.params if one.required and given.get(one.name) in (None, (), [])]
    return f"not given: {lacking}" if lacking else f"too much: {rest}" if rest else None


@pytest.mark.parametrize("page", SHOWN)
def test_commands_that_are_printed_parse(page: str) -> None:
    found = list(printed_commands((ROOT / page).read_text(encoding="utf-8")))
    wrong = {command: why for command, whole in found if (why := what_is_wrong(command, whole))}
    assert not wrong


def test_commands_are_found_and_mistakes_in_them_seen() -> None:
    page = "`limbeck teach`\n\n    .venv/bin/limbeck lists show \\\n      a.parquet --rows 3  # three\n\n"
    page += "```sh\nlimbeck lost\n```\n"
    found = [("lists show a.parquet --rows 3  ", True), ("lost", True), ("teach", False)]
    assert list(printed_commands(page)) == found
    assert [what_is_wrong(*one) for one in found] == [None, "no such verb: lost", None]
    assert "No such option" in str(what_is_wrong("lists show a.parquet --row", True))
    assert what_is_wrong("lists show", True) == "not given: ['lists']"
    assert what_is_wrong("evaluate --collection", False) is None  # an option named without its value


@pytest.mark.parametrize("page", [page for page in PAGES if "```console" in (ROOT / page).read_text(encoding="utf-8")])
def test_sessions_that_are_printed_run_as_they_stand(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$ cat FILE` makes the file that the page shows, `$ limbeck …` is run; … in the page stands for anything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    text = (ROOT / page).read_text(encoding="utf-8")
    for block in re.findall(r"^```console\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        code = 0
        for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = entry.partition("\n")
            if command.startswith("cat "):
                Path(command.removeprefix("cat ")).write_text(expected, encoding="utf-8")
            elif command == "echo $?":
                assert int(expected) == code
            else:
                program, *words = shlex.split(command)
                assert program == "limbeck"
                result = CliRunner().invoke(app, words, prog_name="limbeck")
                printed = " ".join(result.output.split())
                pattern = ".*".join(re.escape(part) for part in " ".join(expected.split()).split("…"))
                assert re.fullmatch(pattern, printed), f"$ {command}\n{result.output}"
                code = result.exit_code
