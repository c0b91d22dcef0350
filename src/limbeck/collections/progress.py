"""Progress of long work: a count while a large source is read, a bar where the end is known."""

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


def counted(items: Iterable[Item], doing: str, noun: str, total: int | None = None) -> Iterator[Item]:
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

    yield from told(iterator, text, Console(stderr=True), text(0))


def told(items: Iterable[Item], text: Callable[[int, Item], str], console: "Console", beginning: str) -> Iterator[Item]:
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
                console.print(text(number, item), highlight=False)


@contextmanager
def bar(console: "Console | None", doing: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a console that is a terminal, nothing elsewhere; gives what is to be told how many more are done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    silent = console is None or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda done: progress.advance(task, done)
