"""How far a first stage is."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from limbeck.collections.progress import QUIET_SECONDS

Item = TypeVar("Item")


def shown(items: Iterable[Item], doing: str, noun: str, total: int, progress: bool) -> Iterator[Item]:
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
            console.print(f"{doing}: {number:,} of {total:,} {noun}", highlight=False, soft_wrap=True)
            said = time.monotonic()
