"""Progress of long work: a count while a large source is read, a bar where the end is known."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")

SILENT_UNTIL = 100_000
STEP = 100  # items between two looks at the clock
QUIET_SECONDS = 15.0  # between two lines where there is no terminal


def say(console: "Console | None", text: str, style: str | None = None) -> None:
    """Print a line as it stands: no markup, no colours of rich's own, no wrapping. Without a console, nothing."""
    if console is not None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def with_progress(items: Iterable[Item], doing: str, noun: str, total: int | None = None) -> Iterator[Item]:
    """Pass `items` on. From the 100,000th on, say on stderr how many have passed, of `total` where that is known.

    On a terminal the count is live; elsewhere it is a line now and then.
    """
    iterator = iter(items)
    for number, item in enumerate(iterator, 1):
        yield item
        if number == SILENT_UNTIL:
            break
    else:
        return
    from rich.console import Console

    def text(number: int, _: object = None) -> str:
        return f"{doing}: {SILENT_UNTIL + number:,} {f'of {total:,} {noun}' if total else noun}"

    yield from with_status(iterator, text, Console(stderr=True), text(0))


def with_status(
    items: Iterable[Item], text: Callable[[int, Item], str], console: "Console", beginning: str
) -> Iterator[Item]:
    """Pass `items` on, and say now and then what `text` makes of how many have passed and of the last of them.

    Args:
        beginning: what is said on a terminal until then.
    """
    said = time.monotonic()
    with console.status(beginning) as status:
        for number, item in enumerate(items, 1):
            yield item
            if number % STEP or time.monotonic() - said < (1 if console.is_terminal else QUIET_SECONDS):
                continue
            said = time.monotonic()
            if console.is_terminal:
                status.update(text(number, item))
            else:
                say(console, text(number, item))


@contextmanager
def bar(console: "Console | None", doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a console that is a terminal, elsewhere a line now and then; gives what is to be told how many more are
    done. Threads may tell it at once. Without a console nothing is shown.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if console is not None and not console.is_terminal:
        yield _lines(console, doing, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=console is None) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.advance(task, done)


def _lines(console: "Console", doing: str, total: int) -> Callable[[int], None]:
    """What prints how far it is, and how long the rest may take, where nothing was printed for `QUIET_SECONDS`."""
    began = said = time.monotonic()
    so_far, lock = 0, threading.Lock()

    def advance(done: int) -> None:
        nonlocal said, so_far
        with lock:
            so_far += done
            now = time.monotonic()
            if now - said < QUIET_SECONDS or so_far >= total:
                return
            said = now
            left = f", about {(now - began) / so_far * (total - so_far) / 60:.0f} min left" if so_far else ""
            say(console, f"{doing}: {so_far:,} of {total:,}{left}")

    return advance


def with_total_progress(items: Iterable[Item], doing: str, noun: str, total: int, progress: bool) -> Iterator[Item]:
    """Pass `items` on, with a bar on stderr if that is a terminal, else a line now and then."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not progress:
        yield from items
        return
    if console.is_terminal:
        yield from track(items, doing, total, console=console, transient=True)
        return
    said = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        if time.monotonic() - said >= QUIET_SECONDS:
            say(console, f"{doing}: {number:,} of {total:,} {noun}")
            said = time.monotonic()
