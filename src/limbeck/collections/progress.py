"""A count while a large source is read: live on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

SILENT_UNTIL = 100_000
STEP = 20_000
QUIET_SECONDS = 15.0  # between two lines where there is no terminal


def counted(items: Iterable[Item], doing: str, noun: str, total: int | None = None) -> Iterator[Item]:
    """Pass `items` on. From the 100,000th on, say on stderr how many have passed, of `total` where that is known."""
    iterator = iter(items)
    for number, item in enumerate(iterator, 1):
        yield item
        if number == SILENT_UNTIL:
            break
    else:
        return
    yield from _shown(iterator, doing, f"of {total:,} {noun}" if total else noun)


def _shown(items: Iterator[Item], doing: str, noun: str) -> Iterator[Item]:
    from rich.console import Console

    console = Console(stderr=True)
    said = time.monotonic()
    with console.status(f"{doing}: {SILENT_UNTIL:,} {noun}") as status:
        for number, item in enumerate(items, SILENT_UNTIL + 1):
            yield item
            if number % STEP:
                continue
            text, now = f"{doing}: {number:,} {noun}", time.monotonic()
            status.update(text)
            if not console.is_terminal and now - said >= QUIET_SECONDS:
                console.print(text, highlight=False)
                said = now
