import io

import pytest
from rich.console import Console

from limbeck.core import progress


@pytest.mark.parametrize("size", [0, 1, 4, 5, 6, 20])
def test_counting_passes_everything_on_and_is_silent_without_a_terminal(
    size: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SILENT_UNTIL", 5)
    assert list(progress.with_progress(range(size), "Reading", "texts")) == list(range(size))
    assert capsys.readouterr() == ("", "")


def test_large_sources_are_counted_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SILENT_UNTIL", 5)
    monkeypatch.setattr(progress, "STEP", 5)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(progress.with_progress(range(20), "Reading", "texts")) == list(range(20))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Reading: " in shown.err


def test_large_sources_say_how_far_they_are_now_and_then_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "SILENT_UNTIL", 5)
    monkeypatch.setattr(progress, "STEP", 5)
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    assert list(progress.with_progress(range(20), "Reading", "texts", 20)) == list(range(20))
    lines = [f"Reading: {number} of 20 texts" for number in (10, 15, 20)]
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in lines))


def test_a_bar_is_shown_on_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    shown = {}
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal)
        with progress.bar(console, "Score", 1_500) as advance:
            advance(1_000)
            advance(500)
        shown[terminal] = console.file.getvalue()
    assert "Score" in shown[True]
    assert shown[False] == "Score: 1,000 of 1,500, about 0 min left\n"
    with progress.bar(None, "Score", 3) as advance:
        advance(2)


def test_what_is_done_soon_prints_no_line() -> None:
    console = Console(file=io.StringIO())
    with progress.bar(console, "Score", 3) as advance:
        advance(2)
    assert console.file.getvalue() == ""
