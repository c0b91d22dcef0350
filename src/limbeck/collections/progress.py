"""A count on the terminal while a large source is read."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

SILENT_UNTIL = 100_000
STEP = 20_000


def counted(items: Iterable[Item], doing: str, noun: str) -> Iterator[Item]:
    """Pass `items` on. From the 100,000th on, say on stderr how many have passed, where that is a terminal."""
    iterator = iter(items)
    for number, item in enumerate(iterator, 1):
        yield item
        if number == SILENT_UNTIL:
            break
    else:
        return
    yield from _shown(iterator, doing, noun)


def _shown(items: Iterator[Item], doing: str, noun: str) -> Iterator[Item]:
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    with console.status(f"{doing}: {SILENT_UNTIL:,} {noun}") as status:
        for number, item in enumerate(items, SILENT_UNTIL + 1):
            yield item
            if number % STEP == 0:
                status.update(f"{doing}: {number:,} {noun}")
